// Command standin plays one service on port 9080, for the containers of build/docker-compose.yaml.
//
//	standin NAME [VERSION]
package main

import (
	"log"
	"net/http"
	"os"
	"time"

	"waymark.dev/waymark/proxy/standin"
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: standin NAME [VERSION]")
	}
	version := ""
	if len(os.Args) > 2 {
		version = os.Args[2]
	}
	server := &http.Server{Addr: ":9080", Handler: standin.Handler(os.Args[1], version), ReadHeaderTimeout: time.Minute}
	log.Fatal(server.ListenAndServe())
}
