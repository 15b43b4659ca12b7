// Package mutants breaks the product on purpose, one way at a time, and fails
// unless a suite notices. A rule that no test holds is found here.
//
// Each mutant replaces one piece of one file by Go's build overlay: the tree is
// never touched. A mutant whose text is not found exactly once fails too; it
// must move along with the code it breaks.
package mutants
