package hub

// hogs are the variables that the images of hogs share.
var hogs = []variable{
	{"TOTAL_CHAOS_DURATION", "60", "duration", asYAML},
	{"NAMESPACE", "default", "namespace", asYAML},
	{"NODE_SELECTOR", "", "node-selector", asYAML},
	{"NUMBER_OF_NODES", "", "number-of-nodes", asYAML},
	{"TAINTS", "[]", "taints", asYAML},
	{"IMAGE", "quay.io/krkn-chaos/krkn-hog", "image", asYAML},
}

// netng are the variables that images of network_chaos_ng share.
var netng = []variable{
	{"NAMESPACE", "default", "0.namespace", asText},
	{"INSTANCE_COUNT", "1", "0.instance_count", asYAML},
	{"EXECUTION", "parallel", "0.execution", asText},
	{"SERVICE_ACCOUNT", "", "0.service_account", asText},
	{"IMAGE", "quay.io/krkn-chaos/krkn-network-chaos:latest", "0.image", asText},
}

var (
	netngDuration = []variable{{"TOTAL_CHAOS_DURATION", "60", "0.test_duration", asYAML}}
	netngLists    = []variable{{"INTERFACES", "", "0.interfaces", asList}, {"TAINTS", "", "0.taints", asList}}
	netngFilter   = []variable{
		{"INGRESS", "false", "0.ingress", asYAML},
		{"EGRESS", "false", "0.egress", asYAML},
		{"PORTS", "", "0.ports", asItems},
		{"PROTOCOLS", "tcp", "0.protocols", asList},
	}
	netngShape = []variable{
		{"LATENCY", "", "0.latency", asText},
		{"LOSS", "", "0.loss", asText},
		{"BANDWIDTH", "", "0.bandwidth", asText},
	}
)

func join(parts ...[]variable) (all []variable) {
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

// images are those of krkn-hub.
var images = []image{
	{"application-outages", "application_outages_scenarios", "cuts the pods of an application off the network", []variable{
		{"DURATION", "600", "application_outage.duration", asYAML},
		{"NAMESPACE", "<namespace>", "application_outage.namespace", asYAML},
		{"POD_SELECTOR", "{}", "application_outage.pod_selector", asYAML},
		{"EXCLUDE_LABEL", "", "application_outage.exclude_label", asYAML},
		{"BLOCK_TRAFFIC_TYPE", "- Ingress", "application_outage.block", asBlock},
	}, nil},
	{"node-cpu-hog", "hog_scenarios", "eats the CPUs of nodes", join([]variable{
		{"NODE_CPU_CORE", "", "workers", asYAML},
		{"NODE_CPU_PERCENTAGE", "50", "cpu-load-percentage", asYAML},
	}, hogs), fixed("hog-type", "cpu", "cpu-method", "all")},
	{"node-memory-hog", "hog_scenarios", "eats the memory of nodes", join([]variable{
		{"MEMORY_CONSUMPTION_PERCENTAGE", "90%", "memory-vm-bytes", asYAML},
		{"NUMBER_OF_WORKERS", "1", "workers", asYAML},
	}, hogs), fixed("hog-type", "memory")},
	{"node-io-hog", "hog_scenarios", "eats the disk bandwidth of nodes", join([]variable{
		{"IO_BLOCK_SIZE", "1m", "io-block-size", asYAML},
		{"IO_WORKERS", "5", "io-workers", asYAML},
		{"IO_WRITE_BYTES", "10m", "io-write-bytes", asYAML},
		{"NODE_MOUNT_PATH", "/root", "target-pod-volume.hostPath.path", asYAML},
	}, hogs), fixed("hog-type", "io", "target-pod-folder", "/hog-data", "target-pod-volume.name", "node-volume")},
	{"pvc-scenario", "pvc_scenarios", "fills a persistent volume", []variable{
		{"PVC_NAME", "", "pvc_scenario.pvc_name", asYAML},
		{"POD_NAME", "", "pvc_scenario.pod_name", asYAML},
		{"NAMESPACE", "", "pvc_scenario.namespace", asYAML},
		{"FILL_PERCENTAGE", "50", "pvc_scenario.fill_percentage", asYAML},
		{"DURATION", "60", "pvc_scenario.duration", asYAML},
		{"BLOCK_SIZE", "102400", "pvc_scenario.block_size", asYAML},
	}, nil},
	{"service-hijacking", "service_hijacking_scenarios", "answers in place of a service", []variable{
		{"SCENARIO_BASE64", "", "", unused},
	}, wholeFile},
	{"syn-flood", "syn_flood_scenarios", "floods a service with SYN packets", []variable{
		{"PACKET_SIZE", "120", "packet-size", asYAML},
		{"WINDOW_SIZE", "64", "window-size", asYAML},
		{"TOTAL_CHAOS_DURATION", "120", "duration", asYAML},
		{"NAMESPACE", "default", "namespace", asText},
		{"TARGET_SERVICE", "", "target-service", asText},
		{"TARGET_PORT", "443", "target-port", asYAML},
		{"TARGET_SERVICE_LABEL", "", "target-service-label", asText},
		{"NUMBER_OF_PODS", "2", "number-of-pods", asYAML},
		{"IMAGE", "quay.io/krkn-chaos/krkn-syn-flood:latest", "image", asText},
		{"NODE_SELECTORS", "", "", unused},
	}, attackerNodes("attacker-nodes")},
	{"zone-outages", "zone_outages_scenarios", "takes a zone of the cloud away", []variable{
		{"CLOUD_TYPE", "aws", "zone_outage.cloud_type", asYAML},
		{"DURATION", "600", "zone_outage.duration", asYAML},
		{"VPC_ID", "", "zone_outage.vpc_id", asYAML},
		{"SUBNET_ID", "", "zone_outage.subnet_id", asYAML},
		{"DEFAULT_ACL_ID", "", "zone_outage.default_acl_id", asYAML},
		{"ZONE", "", "zone_outage.zone", asYAML},
	}, zoneOutage},
	{"power-outages", "cluster_shut_down_scenarios", "shuts the cluster down", []variable{
		{"SHUTDOWN_DURATION", "1200", "cluster_shut_down_scenario.shut_down_duration", asYAML},
		{"CLOUD_TYPE", "aws", "cluster_shut_down_scenario.cloud_type", asYAML},
		{"TIMEOUT", "180", "cluster_shut_down_scenario.timeout", asYAML},
	}, fixedYAML("cluster_shut_down_scenario.runs", "1")},
	{"http-load", "http_load_scenarios", "loads HTTP endpoints", []variable{
		{"RUNS", "1", "0.http_load_scenario.runs", asYAML},
		{"NUMBER_OF_PODS", "2", "0.http_load_scenario.number-of-pods", asYAML},
		{"NAMESPACE", "default", "0.http_load_scenario.namespace", asText},
		{"IMAGE", "quay.io/krkn-chaos/krkn-http-load:latest", "0.http_load_scenario.image", asText},
		{"NODE_SELECTORS", "", "", unused},
		{"TARGET_ENDPOINTS", "", "", unused},
		{"RATE", "50/1s", "0.http_load_scenario.rate", asText},
		{"TOTAL_CHAOS_DURATION", "30s", "0.http_load_scenario.duration", asText},
		{"WORKERS", "10", "0.http_load_scenario.workers", asYAML},
		{"MAX_WORKERS", "100", "0.http_load_scenario.max_workers", asYAML},
		{"CONNECTIONS", "100", "0.http_load_scenario.connections", asYAML},
		{"TIMEOUT", "10s", "0.http_load_scenario.timeout", asText},
		{"KEEPALIVE", "true", "0.http_load_scenario.keepalive", asTrue},
		{"HTTP2", "true", "0.http_load_scenario.http2", asTrue},
		{"INSECURE", "false", "0.http_load_scenario.insecure", asTrue},
	}, httpLoad},
	{"storage-throttle", "storage_throttle_scenarios", "slows a volume down", []variable{
		{"PVC_NAME", "", "storage_throttle_scenario.pvc_name", asYAML},
		{"POD_NAME", "", "storage_throttle_scenario.pod_name", asYAML},
		{"NAMESPACE", "default", "storage_throttle_scenario.namespace", asYAML},
		{"MOUNT_PATH", "", "storage_throttle_scenario.mount_path", asYAML},
		{"THROTTLE_TYPE", "bandwidth", "storage_throttle_scenario.throttle_type", asYAML},
		{"READ_IOPS", "100", "storage_throttle_scenario.read_iops", asYAML},
		{"WRITE_IOPS", "50", "storage_throttle_scenario.write_iops", asYAML},
		{"READ_BPS", "1Mi", "storage_throttle_scenario.read_bps", asYAML},
		{"WRITE_BPS", "512Ki", "storage_throttle_scenario.write_bps", asYAML},
		{"DURATION", "1m", "storage_throttle_scenario.duration", asYAML},
		{"IMAGE", "quay.io/krkn-chaos/krkn:tools", "storage_throttle_scenario.image", asYAML},
	}, nil},
	{"network-chaos", "network_chaos_scenarios", "shapes the traffic of nodes", []variable{
		{"TRAFFIC_TYPE", "egress", "", unused},
		{"DURATION", "300", "network_chaos.duration", asYAML},
		{"NODE_NAME", "", "network_chaos.node_name", asYAML},
		{"LABEL_SELECTOR", "node-role.kubernetes.io/master", "network_chaos.label_selector", asYAML},
		{"INSTANCE_COUNT", "1", "network_chaos.instance_count", asYAML},
		{"INTERFACES", "[]", "network_chaos.interfaces", asYAML},
		{"EXECUTION", "parallel", "network_chaos.execution", asYAML},
		{"EGRESS", "{bandwidth: 100mbit}", "network_chaos.egress", asYAML},
		{"IMAGE", "quay.io/krkn-chaos/krkn:tools", "network_chaos.image", asYAML},
		{"TARGET_NODE_AND_INTERFACE", "", "", unused},
		{"NETWORK_PARAMS", "", "", unused},
	}, ingress},
	{"node-network-filter", "network_chaos_ng_scenarios", "drops packets of nodes",
		join([]variable{{"NODE_SELECTOR", "", "0.label_selector", asText}, {"NODE_NAME", "", "0.target", asText}}, netng, netngDuration, netngLists, netngFilter),
		kind("node_network_filter")},
	{"pod-network-filter", "network_chaos_ng_scenarios", "drops packets of pods",
		join([]variable{{"POD_SELECTOR", "", "0.label_selector", asText}, {"POD_NAME", "", "0.target", asText}}, netng, netngDuration, netngLists, netngFilter),
		kind("pod_network_filter")},
	{"node-network-chaos", "network_chaos_ng_scenarios", "delays, loses and slows down packets of nodes",
		join([]variable{
			{"WAIT_DURATION", "0", "0.wait_duration", asYAML},
			{"TEST_DURATION", "120", "0.test_duration", asYAML},
			{"LABEL_SELECTOR", "", "0.label_selector", asText},
			{"NODE_NAME", "", "0.target", asText},
			{"TRAFFIC_TYPE", "[egress]", "", unused},
			{"INTERFACES", "[]", "0.interfaces", asYAML},
			{"TAINTS", "[]", "0.taints", asYAML},
			{"FORCE", "false", "0.force", asYAML},
		}, netng, netngShape), trafficType},
	{"node-interface-down", "network_chaos_ng_scenarios", "sets network interfaces of nodes down",
		join([]variable{
			{"NODE_SELECTOR", "", "0.label_selector", asText},
			{"NODE_NAME", "", "0.target", asText},
			{"RECOVERY_TIME", "0", "0.recovery_time", asYAML},
		}, netng, netngDuration, netngLists), kind("node_interface_down", "ingress", "egress")},
	{"vmi-network", "network_chaos_ng_scenarios", "delays, loses and slows down packets of virtual machines",
		join([]variable{
			{"VMI_NAME", "", "0.target", asText},
			{"LABEL_SELECTOR", "", "0.label_selector", asText},
			{"INGRESS", "true", "0.ingress", asYAML},
			{"EGRESS", "true", "0.egress", asYAML},
		}, netng, netngDuration, netngLists, netngShape), kind("vmi_network_chaos")},
	{"vmi-network-filter", "network_chaos_ng_scenarios", "drops packets of virtual machines",
		join([]variable{{"VMI_NAME", "", "0.target", asText}, {"LABEL_SELECTOR", "", "0.label_selector", asText}}, netng, netngDuration, netngLists, netngFilter),
		kind("vmi_network_filter")},
	{"node-scenarios", "node_scenarios", "stops, starts and reboots nodes", []variable{
		{"ACTION", "node_stop_start_scenario", "node_scenarios.0.actions.0", asYAML},
		{"NODE_NAME", "", "node_scenarios.0.node_name", asYAML},
		{"LABEL_SELECTOR", "node-role.kubernetes.io/worker", "node_scenarios.0.label_selector", asYAML},
		{"EXCLUDE_LABEL", "", "node_scenarios.0.exclude_label", asYAML},
		{"INSTANCE_COUNT", "1", "node_scenarios.0.instance_count", asYAML},
		{"RUNS", "1", "node_scenarios.0.runs", asYAML},
		{"TIMEOUT", "180", "node_scenarios.0.timeout", asYAML},
		{"DURATION", "120", "node_scenarios.0.duration", asYAML},
		{"CLOUD_TYPE", "aws", "node_scenarios.0.cloud_type", asYAML},
		{"PARALLEL", "false", "node_scenarios.0.parallel", asYAML},
		{"KUBE_CHECK", "True", "node_scenarios.0.kube_check", asYAML},
		{"DISABLE_SSL_VERIFICATION", "False", "node_scenarios.0.disable_ssl_verification", asYAML},
		{"BMC_USER", "", "", unused},
		{"BMC_PASSWORD", "", "", unused},
		{"BMC_ADDR", "", "", unused},
		{"DISKS", "", "", unused},
	}, bareMetal},
	{"node-scenarios-bm", "node_scenarios", "stops, starts and reboots nodes of bare metal", []variable{
		{"SCENARIO_BASE64", "", "", unused},
	}, wholeFile},
	{"pod-scenarios", "pod_disruption_scenarios", "kills pods", []variable{
		{"NAMESPACE", "openshift-.*", "0.config.namespace_pattern", asYAML},
		{"POD_LABEL", "", "0.config.label_selector", asYAML},
		{"NAME_PATTERN", ".*", "0.config.name_pattern", asYAML},
		{"DISRUPTION_COUNT", "1", "0.config.kill", asYAML},
		{"EXECUTION", "serial", "0.config.execution", asYAML},
		{"KILL_TIMEOUT", "180", "0.config.timeout", asYAML},
		{"EXPECTED_RECOVERY_TIME", "120", "0.config.krkn_pod_recovery_time", asYAML},
		{"NODE_NAMES", "", "0.config.node_names", asYAML},
		{"NODE_LABEL_SELECTOR", "", "0.config.node_label_selector", asYAML},
		{"EXCLUDE_LABEL", "", "0.config.exclude_label", asYAML},
		{"FORCE", "false", "0.config.force", asYAML},
	}, killPods},
	{"container-scenarios", "container_scenarios", "kills containers", []variable{
		{"NAMESPACE", "openshift-etcd", "scenarios.0.namespace", asYAML},
		{"LABEL_SELECTOR", "k8s-app=etcd", "scenarios.0.label_selector", asYAML},
		{"CONTAINER_NAME", "etcd", "scenarios.0.container_name", asYAML},
		{"ACTION", "1", "scenarios.0.action", asYAML},
		{"DISRUPTION_COUNT", "1", "scenarios.0.count", asYAML},
		{"EXPECTED_RECOVERY_TIME", "60", "scenarios.0.expected_recovery_time", asYAML},
		{"EXCLUDE_LABEL", "", "scenarios.0.exclude_label", asYAML},
	}, fixed("scenarios.0.name", "kill container")},
	{"service-disruption-scenarios", "service_disruption_scenarios", "deletes the services and workloads of namespaces", []variable{
		{"NAMESPACE", "openshift-etcd", "scenarios.0.namespace", asYAML},
		{"LABEL_SELECTOR", "", "scenarios.0.label_selector", asYAML},
		{"DELETE_COUNT", "1", "scenarios.0.delete_count", asYAML},
		{"RUNS", "1", "scenarios.0.runs", asYAML},
		{"SLEEP", "15", "scenarios.0.sleep", asYAML},
	}, namespaceOrLabel},
	{"kubevirt-outage", "kubevirt_vm_outage", "deletes virtual machine instances", []variable{
		{"NAMESPACE", "", "scenarios.0.parameters.namespace", asYAML},
		{"VM_NAME", "", "scenarios.0.parameters.vm_name", asYAML},
		{"LABEL_SELECTOR", "", "scenarios.0.parameters.label_selector", asYAML},
		{"TIMEOUT", "60", "scenarios.0.parameters.timeout", asYAML},
		{"KILL_COUNT", "1", "scenarios.0.parameters.kill_count", asYAML},
	}, fixed("scenarios.0.name", "kubevirt outage test", "scenarios.0.scenario", "kubevirt_vm_outage")},
	{"time-scenarios", "time_scenarios", "skews the clocks of nodes or pods", []variable{
		{"ACTION", "skew_date", "time_scenarios.0.action", asYAML},
		{"OBJECT_TYPE", "pod", "time_scenarios.0.object_type", asYAML},
		{"LABEL_SELECTOR", "k8s-app=etcd", "time_scenarios.0.label_selector", asYAML},
		{"OBJECT_NAME", "[]", "time_scenarios.0.object_name", asYAML},
		{"NAMESPACE", "", "time_scenarios.0.namespace", asYAML},
		{"CONTAINER_NAME", "", "time_scenarios.0.container_name", asYAML},
	}, nil},
	{"pod-network-chaos", "pod_network_scenarios", "blocks the traffic of pods", []variable{
		{"NAMESPACE", "", "0.config.namespace", asYAML},
		{"TRAFFIC_TYPE", "[ingress, egress]", "0.config.direction", asYAML},
		{"INGRESS_PORTS", "[]", "0.config.ingress_ports", asYAML},
		{"EGRESS_PORTS", "[]", "0.config.egress_ports", asYAML},
		{"LABEL_SELECTOR", "", "0.config.label_selector", asYAML},
		{"EXCLUDE_LABEL", "", "0.config.exclude_label", asYAML},
		{"POD_NAME", "", "0.config.pod_name", asYAML},
		{"INSTANCE_COUNT", "1", "0.config.instance_count", asYAML},
		{"TEST_DURATION", "120", "0.config.test_duration", asYAML},
		{"IMAGE", "quay.io/krkn-chaos/krkn:tools", "0.config.image", asYAML},
	}, podNetworkOutage},
	{Rollback, "", "undoes a run", []variable{{"RUN_UUID", "", "", unused}}, nil},
}
