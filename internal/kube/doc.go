// Package kube is the Kubernetes client under the script builtins.
//
// Start with [LoadConfig] and [New], then [Client.Resolve] a kind and use the verbs. Objects are
// plain maps, as the API server sends them, without managedFields.
//
// Use one client for all tasks: its calls wait together for an API server that is away. Give
// [Client.Delete] and [Client.Patch] the UID where it is known. Only the UID tells an object from a
// later one of the same name.
//
// Guarantees:
//
//   - No call hangs. Each request has its own deadline, whatever the context says. A request that
//     changes something sends the deadline to the server, too, so it can't land much later.
//   - A call waits for an API server that is down, overloaded or restarting. It does not wait after
//     401 or 403.
//   - Only the API server's answer to the question counts. A success is the object, list or Status
//     that was asked for, by kind, name and namespace. Only a Status NotFound about that object means
//     that it is absent. An answer of a gateway or a portal is a [*ForeignError]: it counts as an
//     outage, and its text says what answered.
//   - A call ends after a few attempts if a webhook can't be called ([*WebhookError]), if the server
//     of an API group is away ([*GroupError]), or if the same 500 comes each time.
//   - No error contains the values of environment variables, headers or Secrets that were sent, even
//     if the API server or a webhook repeats them.
//   - If the answer to a write is lost, the object is read back. Nil means that the change is in the
//     cluster. An [UnknownOutcomeError] in the chain means that it is not known. Any other error means
//     that the change is not there and won't appear later.
//   - An error about a request is an [*Error]. It says what was asked, wraps the StatusError of
//     apimachinery if there is one, and scripts can catch it (method Catch). Scripts can't catch the
//     end of a context or a mistake in the arguments: these errors contain no *Error.
package kube
