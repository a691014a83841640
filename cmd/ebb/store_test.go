package main

import "k8s.io/apimachinery/pkg/runtime/schema"

func init() {
	kinds["secrets"] = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	kinds["leases"] = schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}
}
