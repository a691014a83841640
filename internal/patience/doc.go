// Package patience is how long a server that gives no usable answer is waited for, and how
// that is told.
//
// Start with [New], one for each server, and [Patience.Begin] for each call. The call makes its
// attempts, and asks [Wait.Again] after each that brought no usable answer: it pauses, or says
// that patience is used up.
//
// Avoid a patience for each call: calls that wait at the same time wait for the same thing.
//
// What is promised:
//
//   - Patience is for each outage. One begins with the first attempt that brought nothing, and
//     ends with the first answer to any call. Time counts once, however many calls wait.
//   - No call waits longer than one outage may last, even while the server answers other calls.
//   - Options.Total bounds all outages together, where that is wanted.
//   - A server's wish to be left alone is heeded for [MostPause] at most.
//   - A server that comes and goes is worth fewer and fewer lines in the log.
package patience
