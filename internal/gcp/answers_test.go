package gcp

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ebb-chaos/ebb/internal/cloudapi"
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
		`{"error": {"code": 404, "message": "The resource 'projects/project-1/zones/zone-a/instances/node-10' was not found"}}`:                         http.StatusNotFound,
		`{"error": {"code": 404, "message": "The resource 'projects/project-1/zones/zone-b/instances/node-1' was not found"}}`:                          http.StatusNotFound,
		`{"error": {"code": 404, "message": "The resource 'projects/project-1/zones/zone-a' was not found"}}`:                                           http.StatusNotFound,
		`{"error": {"code": 404, "message": "The resource 'projects/project-2/zones/zone-a/instances/node-1' was not found"}}`:                          http.StatusNotFound,
		`{"name": "node-1", "status": "RUNNING", "selfLink": "https://www.googleapis.com/compute/v1/projects/project-1/zones/zone-b/instances/node-1"}`: http.StatusOK,
		`{"name": "node-1", "status": "RUNNING", "selfLink": "https://www.googleapis.com/compute/v1/projects/project-2/zones/zone-a/instances/node-1"}`: http.StatusOK,
		`{"name": "node-1", "status": "RUNNING", "selfLink": "https://www.googleapis.com/compute/v1/projects/project-1/zones/zone-a/disks/node-1"}`:     http.StatusOK,
		`404 page not found`: http.StatusNotFound,
	} {
		cloud.Fault("instances.get", answer(code, text))
		if status, err := c.Status(t.Context(), machine); err == nil {
			t.Errorf("%s: got %q, want an error", text, status)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", text, err)
		}
	}
	// The same machine, by the number of its project.
	cloud.Fault("instances.get", answer(http.StatusOK, `{"name": "node-1", "status": "RUNNING", "selfLink": "https://compute.googleapis.com/compute/v1/projects/123456/zones/zone-a/instances/node-1"}`))
	if status, err := c.Status(t.Context(), machine); err != nil || status != Running {
		t.Errorf("got %q, %v, want %s", status, err, Running)
	}
	// An operation on another machine says nothing of this one.
	cloud.Fault("operations.get", answer(http.StatusOK, `{"name": "operation-1", "status": "DONE", "targetLink": "https://www.googleapis.com/compute/v1/projects/project-1/zones/zone-a/instances/node-2"}`))
	if err := c.Stop(t.Context(), machine); !cloudapi.Unknown(err) {
		t.Errorf("got %v, want to hear that the outcome is not known", err)
	}
	cloud.AddInstance(machine.String(), Running)
	if status, err := c.Status(t.Context(), machine); err != nil || status != Running {
		t.Errorf("got %q, %v, want %s", status, err, Running)
	}
}
