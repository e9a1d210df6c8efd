package main

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// row is one line of a data file; each file fills a part of it.
type row struct {
	ID           string                     `json:"id"`
	Group        string                     `json:"group"`
	Difficulty   string                     `json:"difficulty"`
	Prompt       string                     `json:"prompt"`
	FullChars    int                        `json:"full_prompt_chars"`
	Contaminated bool                       `json:"contaminated"`
	Weak         *float64                   `json:"weak"`
	Strong       *float64                   `json:"strong"`
	M            map[string]json.RawMessage `json:"m"`
}

// part is what of a folder's rows is taken: those whose share of a hundred it
// has; nil takes all.
type part func(share int) bool

// The fixed split that comes with the data.
func train(share int) bool { return share < 60 }
func test(share int) bool  { return share >= 60 && share < 80 }

// folds split the train rows again, for choosing between ways of learning
// without a look at test rows.
func folds(n int) (learn, check part) {
	return func(share int) bool { return share < 60 && share%5 != n },
		func(share int) bool { return share < 60 && share%5 == n }
}

// share is where a row falls of a hundred: by its prompt, so that one prompt
// never lands on two sides.
func (r *row) share() int {
	key := strings.ToLower(strings.Join(strings.Fields(r.Prompt), " "))
	if key == "" {
		key = r.ID
	}
	sum := sha256.Sum256([]byte(key))
	return int(binary.BigEndian.Uint32(sum[:4]) % 100)
}

// set is a folder and the part of it that counts.
type set struct {
	dir  string
	part part
}

// read gives the rows of name.jsonl.gz (or name.jsonl) that belong to the set.
func (s set) read(name string) ([]row, error) {
	var in io.Reader
	f, err := os.Open(filepath.Join(s.dir, name+".jsonl.gz"))
	if errors.Is(err, os.ErrNotExist) {
		if f, err = os.Open(filepath.Join(s.dir, name+".jsonl")); err == nil {
			in = f
		}
	} else if err == nil {
		if in, err = gzip.NewReader(f); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var rows []row
	d := json.NewDecoder(bufio.NewReaderSize(in, 1<<20))
	for {
		var r row
		if err := d.Decode(&r); err == io.EOF {
			return rows, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s, row %d: %w", f.Name(), len(rows)+1, err)
		}
		if s.part == nil || s.part(r.share()) {
			rows = append(rows, r)
		}
	}
}

// prices are in US dollars for a million input and output tokens.
type prices map[string][2]float64

func readPrices(dirs ...string) (prices, error) {
	var firstErr error
	for _, dir := range dirs {
		b, err := os.ReadFile(filepath.Join(dir, "prices_2024.json"))
		if err == nil {
			var v struct{ Prices prices }
			if err = json.Unmarshal(b, &v); err == nil {
				return v.Prices, nil
			}
		}
		if firstErr == nil {
			firstErr = err
		}
	}
	return nil, firstErr
}
