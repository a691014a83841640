package sandboxtest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// Sidecar puts a container before those of each pod that is created, as the webhook of a service
// mesh does, and passes all else.
func Sidecar(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/pods") {
		forward.ServeHTTP(w, r)
		return
	}
	var pod map[string]any
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &pod)
	}
	spec, ok := pod["spec"].(map[string]any)
	if err != nil || !ok {
		reset(w)
		return
	}
	containers, _ := spec["containers"].([]any)
	mesh := map[string]any{"name": "mesh-proxy", "image": "example.com/mesh-proxy:1"}
	spec["containers"] = append([]any{mesh}, containers...)
	if body, err = json.Marshal(pod); err != nil {
		reset(w)
		return
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	forward.ServeHTTP(w, r)
}
