// Routing scores what Headrace learns about models (internal/learn) and what it
// says of experiments (internal/trial) on recorded outcomes of many models:
//
//	go run ./bench/routing
//	go run ./bench/routing -train DIR -test DIR
//
// A folder holds files in the form of ../shared/routing. Without flags, or when
// both name the same folder, its train rows teach and its test rows score; two
// different folders count whole. -fold N scores a fifth of the train rows with
// what the other four taught: for choosing between ways of learning.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// figure is one row of the table.
type figure struct {
	what, prototype, reach, measured, note string
}

// bench is what the parts of the benchmark are given.
type bench struct {
	train, test set
	prices      prices
}

// parts are in the order of the table.
var parts = []struct {
	name string
	run  func(*bench) ([]figure, error)
}{
	{"pairs", pairs},
	{"zeroeval", zeroEval},
	{"bfcl", toolCalls},
	{"thinking", thinking},
	{"online", online},
	{"floor", qualityFloor},
	{"speed", speed},
	{"trial", experiments},
}

func main() {
	shared := filepath.Join("..", "shared", "routing")
	trainDir := flag.String("train", shared, "folder of what teaches")
	testDir := flag.String("test", "", "folder of what scores (default: that of -train)")
	fold := flag.Int("fold", -1, "score fold 0 to 4 of the train rows")
	only := flag.String("only", "", "comma-separated parts to run: pairs zeroeval bfcl thinking online floor speed trial")
	flag.Parse()
	if *testDir == "" {
		*testDir = *trainDir
	}
	b := &bench{train: set{dir: *trainDir}, test: set{dir: *testDir}}
	switch {
	case *fold >= 0:
		b.train.part, b.test.part = folds(*fold)
	case same(*trainDir, *testDir):
		b.train.part, b.test.part = train, test
	}
	if err := b.run(*only); err != nil {
		fmt.Fprintln(os.Stderr, "bench/routing:", err)
		os.Exit(1)
	}
}

func same(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

func (b *bench) run(only string) error {
	var err error
	if b.prices, err = readPrices(b.test.dir, b.train.dir); err != nil {
		return err
	}
	fmt.Println("| what | prototype | reach | measured | how |\n|---|---|---|---|---|")
	var failed error
	for _, p := range parts {
		if only != "" && !strings.Contains(","+only+",", ","+p.name+",") {
			continue
		}
		figures, err := p.run(b)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", p.name, err))
			fmt.Printf("| %s | | | not measured: %v | |\n", p.name, err)
		}
		for _, f := range figures {
			fmt.Printf("| %s | %s | %s | %s | %s |\n", f.what, f.prototype, f.reach, f.measured, f.note)
		}
	}
	return failed
}
