// Command check runs the acceptance checks of the official Go SDKs against the
// gateway that CLIENT_BASE names; run.sh starts it.
package main

import (
	"log"

	"headrace/test/clients/check"
	"headrace/test/clients/claude1"
	"headrace/test/clients/claude2"
	"headrace/test/clients/google"
	"headrace/test/clients/gpt"
)

func main() {
	env, err := check.FromEnv()
	if err != nil {
		log.Fatal(err)
	}
	gpt.Run(env)
	claude1.Run(env)
	claude2.Run(env)
	google.Run(env)
}
