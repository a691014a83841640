// Package gcp is the client of Google Compute Engine under the script builtins: the
// few calls that scenarios need.
//
// Start with [Open], which sends nothing; credentials are looked for at the first
// call. An instance is named "project/zone/name", as the providerID of a node has it.
//
// Don't rely on a status that was read while a change is under way. The calls that change something
// return only when the status shows the effect.
//
// Guarantees, besides those of package cloudapi:
//
//   - Credentials are Google's application default ones, and the endpoint is the one of gcloud's
//     environment variable, CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE. Nothing else is read.
//   - A token is sent to that endpoint only, in a header. Neither tokens nor requests are logged.
//   - Each change has a request ID, by which the cloud recognizes a second attempt.
//
// # Why no SDK for Compute
//
// Four calls of plain JSON fit into this package. Google's generated
// google.golang.org/api/compute/v1 takes 35 s of CPU and 1.1 GB of memory to compile, and 9.3 MB of
// the binary. What is hard to get right, the chain of credentials (keys, gcloud's login, workload
// identity, metadata server), is taken from golang.org/x/oauth2/google, which client-go has half of
// anyway: 1 s and 1.2 MB.
package gcp
