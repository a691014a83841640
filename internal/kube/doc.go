// Package kube is the Kubernetes client under the script builtins.
//
// Start with [LoadConfig] and [New], then [Client.Resolve] a kind and use the verbs. Objects are
// plain maps, as the API server sends them, without managedFields.
//
// Avoid a client for each task: calls that share one share what is known of an API server
// that is away, and wait for it once. Avoid [Client.Delete] and [Client.Patch] without a UID
// where one is known: only the UID tells an object from a later one of its name.
//
// What is promised:
//
//   - No call hangs. Every request has a deadline of its own, whatever the context
//     says, and every mutating request carries one to the server, so that a request
//     nobody waits for any more can't land much later.
//   - An API server that is down, overloaded or restarting is waited for. 401 and
//     403 never are.
//   - Nothing is believed but the API server's answer to the question: a success is the object
//     (or list, or Status) that was asked for, by kind, name and namespace, and only a Status
//     NotFound about that object is absence. What gateways and portals answer is a
//     [*ForeignError]: an outage, whose text says what answered.
//   - A webhook that can't be called ([*WebhookError]), a group whose own server is away
//     ([*GroupError]) and a 500 that is always the same end a call after a few attempts.
//   - Values of environment variables, headers and Secrets that were sent are in no error, even
//     where the API server or a webhook repeats them.
//   - A write whose answer was lost is read back before anything is concluded. Nil
//     means that the change is in the cluster. An [UnknownOutcomeError] in the chain
//     means that nobody knows; every other error means that the change is not there
//     and won't appear later.
//   - Errors about a request are an [*Error], which says what was asked, wraps
//     apimachinery's StatusError where there is one, and can be caught by scripts
//     (its Catch method). A finished context can't be caught: such an error holds the
//     context's, and no *Error. Nor can a mistake in the arguments.
package kube
