// Package aws is the client of Amazon EC2 under the script builtins: the few calls
// that scenarios need.
//
// Start with [Open], which sends nothing; credentials and configuration are read at
// the first call. An empty region is the operator's own.
//
// Avoid believing a description without [Client.Instances] or [Client.NetworkACLs]
// having been asked after the last change: EC2 shows changes late. The changing
// calls here return only when their effect is to be seen.
//
// What is promised, beside what package cloudapi does:
//
//   - Credentials, region and endpoint come from the operator's environment and files,
//     by the chains of Amazon's own SDK, and from nowhere else.
//   - Requests are signed with signature version 4. Neither requests nor credentials are logged.
//   - A change whose answer was lost is made again where that is the same, and read back
//     where it is not.
//
// # Why no SDK for EC2
//
// The Query API is a form post and an XML answer, and eight calls of it fit into
// this package. Amazon's package service/ec2 has 700: compiling it takes 70 s of CPU and
// 3.3 GB of memory, more than all the rest of the program. What is hard to get right and is
// kept up by Amazon, the signature and the chain of credentials (profiles, SSO, roles, web
// identity), is taken from the SDK's core and config packages: 8 s, and 3.4 MB of the binary.
package aws
