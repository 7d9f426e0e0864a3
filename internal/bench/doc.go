// Package bench measures every room beside its peers, in one run, so that ratios can be compared where times are noisy. README.md says how to run it and how to
// read it. It is a module of its own: nobody who uses mailroom gets the peers.
//
// The package itself has what the benchmarks and the programs under cmd share: messages, the same on every machine, and servers that take mail and drop it.
package bench
