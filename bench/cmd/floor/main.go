// Command floor is Go's httputil.ReverseProxy before one upstream and nothing
// more: the least that a net/http gateway can cost.
//
//	floor LISTEN UPSTREAM-URL
package main

import (
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: floor LISTEN UPSTREAM-URL")
	}
	target, err := url.Parse(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns = 0
	transport.MaxIdleConnsPerHost = 2048 // the default of 2 would measure connecting, not passing on
	transport.DisableCompression = true
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(target) },
	}
	log.Fatal(http.ListenAndServe(os.Args[1], proxy))
}
