// Package configs loads and validates the one YAML file that describes an
// exchange. It owns what may stand in that file, the defaults, and the faults
// an operator is shown; it holds the examples too.
//
// It builds values for the other rooms and starts nothing: Load is a pure
// function of the file, the files it refers to and the environment. When and
// how a new config takes the place of an old one is decided elsewhere.
package configs
