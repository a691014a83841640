// Package cloudapi is what the clients of clouds share: asking again, waiting, and
// errors that say what to do.
//
// Start with [NewAsker], one for each client, and put every request through
// [Asker.Ask]; [Send] is for a single attempt. A request whose effect shows late
// is followed by [Asker.Poll].
//
// Avoid requests outside of Ask: nothing else bounds them.
//
// What is promised:
//
//   - No request hangs. Every attempt has a deadline of its own, and the time spent on a
//     service that gives no usable answer is bounded, as package patience has it.
//   - Throttling, errors of the server's and broken connections are asked again, after
//     pauses that grow and are never quite the same.
//   - An [UnknownOutcomeError] in an error means that nobody knows whether a change was
//     made; every other error means that it was not, and will not appear later.
//   - An [*Error] can be caught by scripts (its Catch method). The error of a finished
//     context can't: it holds the context's, and no *Error.
//   - No error holds a credential.
package cloudapi
