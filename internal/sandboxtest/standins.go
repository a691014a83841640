package sandboxtest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// Webhook edits each object of a kind that is created, as a mutating webhook does, and passes all else.
// The kind is given by the end of its path: "/pods".
func Webhook(path string, edit func(object map[string]any)) Fault {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, path) {
			forward.ServeHTTP(w, r)
			return
		}
		var object map[string]any
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &object)
		}
		if err != nil {
			reset(w)
			return
		}
		edit(object)
		if body, err = json.Marshal(object); err != nil {
			reset(w)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		forward.ServeHTTP(w, r)
	}
}

// inSpec edits the spec of objects that have one.
func inSpec(edit func(spec map[string]any)) func(map[string]any) {
	return func(object map[string]any) {
		if spec, ok := object["spec"].(map[string]any); ok {
			edit(spec)
		}
	}
}

// Sidecar puts a container before those of each pod that is created, as the webhook of a service
// mesh does.
var Sidecar = Webhook("/pods", inSpec(func(spec map[string]any) {
	containers, _ := spec["containers"].([]any)
	mesh := map[string]any{"name": "mesh-proxy", "image": "example.com/mesh-proxy:1"}
	spec["containers"] = append([]any{mesh}, containers...)
}))

// Elsewhere puts each pod that says which node it wants on the other worker.
var Elsewhere = Webhook("/pods", inSpec(func(spec map[string]any) {
	if spec["affinity"] != nil || spec["nodeName"] != nil {
		delete(spec, "affinity")
		spec["nodeName"] = "worker-2"
	}
}))

// Widened has each network policy select all pods.
var Widened = Webhook("/networkpolicies", inSpec(func(spec map[string]any) { spec["podSelector"] = map[string]any{} }))

// vegetas is the log of a load generator: its summary, between lines that only look like one.
const vegetas = `Attacking
{"latencies": 7}
{"latencies": {"mean": "soon"}}
{"latencies":{"total":300000000,"mean":2000000,"50th":2000000,"95th":3000000,"99th":4000000,"max":9000000},"requests":150,"rate":50.0,"success":0.98,"status_codes":{"200":147,"503":3},"errors":["Get http://user:hunter2@web/: 503"]}
{"latencies": broken
[{"latencies": {}}]
`

// Vegeta answers for the logs of all pods, which the sandbox does not keep, and passes all else.
func Vegeta(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	logs(vegetas)(w, r, forward)
}

// VegetaOfNobody is Vegeta for a load that nobody has answered.
func VegetaOfNobody(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	logs(strings.Replace(vegetas, `"200":147,"503":3`, `"0":150`, 1))(w, r, forward)
}

func logs(text string) Fault {
	return func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
		if !strings.HasSuffix(r.URL.Path, "/log") {
			forward.ServeHTTP(w, r)
			return
		}
		answerWith(http.StatusOK, plain, text)(w, r, forward)
	}
}

// Bare has no container find iptables or tc, as in an image that lacks them, and passes all else.
func Bare(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	if strings.HasSuffix(r.URL.Path, "/exec") {
		query := r.URL.Query()
		for i, word := range query["command"] {
			if word == "iptables" || word == "tc" {
				query["command"][i] = word + "-lacks"
			}
		}
		r.URL.RawQuery = query.Encode()
	}
	forward.ServeHTTP(w, r)
}
