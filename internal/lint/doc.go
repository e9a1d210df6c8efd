// Package lint holds the house rules as tests: who may import whom, what may
// not be called where, and that every table has its rows.
package lint
