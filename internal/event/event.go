// Package event writes Kubernetes Events on objects that chaos has changed: kubectl describe shows
// them where somebody looks who wonders what has happened.
//
// Start with [New], call [Writer.Tell] as often as there is something to tell, and [Writer.Flush] at
// the end. [Write] writes one Event and waits for it.
//
// Avoid it for what somebody depends on: an Event that can't be written is lost.
//
// Promised: Tell never waits, and Flush no longer than it is told. Of one run, one object and one
// reason there is one Event, also if several processes tell of it. What is wrong is said once.
package event

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ebb-chaos/ebb/internal/kube"
)

// The types of Events.
const (
	Normal  = "Normal"
	Warning = "Warning"
)

var resource = kube.Resource{Version: "v1", Kind: "Event", Plural: "events", Namespaced: true}

// clusterNamespace is the namespace of Events about objects without a namespace. The API server
// requires it.
const clusterNamespace = "default"

// Event is what happened to one object.
type Event struct {
	// The object. Without its UID, kubectl get events shows the Event, and kubectl describe does not.
	APIVersion, Kind, Namespace, Name, UID string

	Type, Reason, Message string
	Component             string    // the program
	Run                   string    // UUID
	At                    time.Time // zero: now
}

// name is the same in all processes that report the same event.
func (e Event) name() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []string{e.Run, e.Reason, e.Kind, e.Namespace, e.Name}))
	return fmt.Sprintf("ebb-%x", sum[:8])
}

// longestMessage is the API server's limit for a message.
const longestMessage = 1024

// Write writes one Event. If it exists already, that is no error.
func Write(ctx context.Context, client *kube.Client, e Event) error {
	at := e.At
	if at.IsZero() {
		at = time.Now()
	}
	when := at.UTC().Format(time.RFC3339)
	message := e.Message
	if len(message) > longestMessage {
		message = message[:longestMessage-3] + "..."
	}
	object := kube.Object{"kind": e.Kind, "name": e.Name}
	for key, value := range map[string]string{"apiVersion": e.APIVersion, "namespace": e.Namespace, "uid": e.UID} {
		if value != "" {
			object[key] = value
		}
	}
	_, err := client.Create(ctx, resource, cmp.Or(e.Namespace, clusterNamespace), kube.Object{
		"metadata":       kube.Object{"name": e.name()},
		"involvedObject": object,
		"type":           e.Type, "reason": e.Reason, "message": message,
		"source":         kube.Object{"component": e.Component},
		"firstTimestamp": when, "lastTimestamp": when, "count": 1,
	})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
