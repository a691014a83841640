package gcp

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// B1: an answer about another instance says nothing of this one.
func TestForeignAnswers(t *testing.T) {
	cloud, c := open(t)
	cloud.AddInstance(machine.String(), Running)
	answer := func(code int, text string) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(code)
			fmt.Fprint(w, text)
		}
	}
	for text, code := range map[string]int{
		`{"name": "node-2", "status": "TERMINATED"}`: http.StatusOK,
		`{"status": "TERMINATED"}`:                   http.StatusOK,
		`{}`:                                         http.StatusOK,
		`{"error": {"code": 404, "message": "The resource 'projects/project-1/zones/zone-a/instances/node-10' was not found"}}`: http.StatusNotFound,
		`{"error": {"code": 404, "message": "The resource 'projects/project-1/zones/zone-b/instances/node-1' was not found"}}`:  http.StatusNotFound,
		`{"error": {"code": 404, "message": "The resource 'projects/project-1/zones/zone-a' was not found"}}`:                   http.StatusNotFound,
		`404 page not found`: http.StatusNotFound,
	} {
		cloud.Fault("instances.get", answer(code, text))
		if status, err := c.Status(t.Context(), machine); err == nil {
			t.Errorf("%s: got %q, want an error", text, status)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if status, err := c.Status(t.Context(), machine); err != nil || status != Running {
		t.Errorf("got %q, %v, want %s", status, err, Running)
	}
}
