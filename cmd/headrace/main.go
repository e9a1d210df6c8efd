// Headrace is an LLM gateway: one binary that clients of the vendors' APIs
// point their base URL at.
package main

import (
	"os"

	"headrace/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}
