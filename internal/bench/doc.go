// Command bench measures ebb as its users meet it: whole processes, from their start to their end,
// beside bare programs that send the same requests, or make the same system calls, at the same
// concurrency.
//
// Start with make bench, which writes bench.json and prints the table. Then
//
//	go run ./internal/bench table FILE          the table of docs/performance.md
//	go run ./internal/bench compare OLD NEW     two versions of ebb, row by row
//	go run ./internal/bench plot FILE DIR       the plots, as SVG
//
// Avoid absolute times of a machine that others use too: ebb and the bare program are measured
// alternately, and what counts is their ratio, and the CPU time, which others change less.
//
// What is promised: a row that fails ends the measurement; no row is left out in silence. The bare
// programs are this program too, started anew for each sample: see bare.go.
package main
