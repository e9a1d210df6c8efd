package budget

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"headrace/internal/llm"
)

// Marks is a file that says of each slot how much of its lease no request has
// touched. It is written before a request may spend, through the page cache
// alone: a process that is killed leaves it true, so that what nobody used can
// be given back. A machine that goes down may leave it old; it is then of another
// boot and proves nothing. Safe for concurrent use.
type Marks struct {
	file *os.File
	fail func(error)

	mu    sync.Mutex // guards all below; never held over I/O
	cells []*cell
	dead  bool
}

// Mark is one line of the file.
type Mark struct {
	Slot
	Free llm.Nanodollars
}

// cell is the record of one slot.
type cell struct {
	marks *Marks
	at    int64
	slot  Slot

	mu   sync.Mutex // guards all below, and the order of what is written
	last llm.Nanodollars
	gone bool
}

// A file is a record of head and one for each slot, which is the free amount, the
// start of the window (Unix ms, 0 is none), the length of the name, and the name.
const (
	marksMagic = "headrace leases 1"
	markSize   = 512
	markName   = 18
	mostMarks  = 4096
)

// ReadMarks reads what a run that was killed left, and whose it was; nothing
// where there is no file or boot is not that of the machine now.
func ReadMarks(path, boot string) (run int64, left []Mark, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || boot == "" {
		return 0, nil, nil
	}
	if err != nil || len(b) < markSize {
		return 0, nil, err
	}
	head := strings.Split(strings.TrimRight(string(b[:markSize]), "\x00"), "\n")
	if len(head) != 3 || head[0] != marksMagic || head[2] != boot {
		return 0, nil, nil
	}
	if run, err = strconv.ParseInt(head[1], 10, 64); err != nil {
		return 0, nil, fmt.Errorf("read %s: %w", path, err)
	}
	for b = b[markSize:]; len(b) >= markSize; b = b[markSize:] {
		free, n := llm.Nanodollars(binary.BigEndian.Uint64(b)), int(binary.BigEndian.Uint16(b[16:]))
		if free <= 0 || n == 0 || markName+n > markSize {
			continue
		}
		id, err := ParseID(string(b[markName : markName+n]))
		if err != nil {
			continue // half written: the slot was never used
		}
		m := Mark{Slot{ID: id}, free}
		if ms := int64(binary.BigEndian.Uint64(b[8:])); ms != 0 {
			m.Start = time.UnixMilli(ms).UTC()
		}
		left = append(left, m)
	}
	return run, left, nil
}

// NewMarks makes the file of a run anew. fail is told once when it cannot be
// written; the file is then taken away, so that it proves nothing.
func NewMarks(path, boot string, run int64, fail func(error)) (*Marks, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	head := make([]byte, markSize)
	copy(head, fmt.Sprintf("%s\n%d\n%s", marksMagic, run, boot))
	if _, err := f.WriteAt(head, 0); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return &Marks{file: f, fail: fail}, nil
}

// Close takes the file away: what was leased is given back, or counts as spent.
func (m *Marks) Close() error {
	m.mu.Lock()
	was := m.dead
	m.dead = true
	m.mu.Unlock()
	if was {
		return nil
	}
	return errors.Join(os.Remove(m.file.Name()), m.file.Close())
}

// cell gives the record of a slot; nil when there is no room for one.
func (m *Marks) cell(s Slot, now time.Time) *cell {
	name := s.ID.String()
	if len(name) > markSize-markName {
		return nil
	}
	m.mu.Lock()
	if m.dead {
		m.mu.Unlock()
		return nil
	}
	c := &cell{marks: m, slot: s, at: int64(len(m.cells)+1) * markSize}
	if len(m.cells) < mostMarks {
		m.cells = append(m.cells, c)
	} else if c.at = m.over(c, now); c.at == 0 {
		m.mu.Unlock()
		return nil
	}
	m.mu.Unlock()
	b := make([]byte, markSize) // nothing is free yet
	if !s.Start.IsZero() {
		binary.BigEndian.PutUint64(b[8:], uint64(s.Start.UnixMilli()))
	}
	binary.BigEndian.PutUint16(b[16:], uint16(len(name)))
	copy(b[markName:], name)
	if _, err := m.file.WriteAt(b, c.at); err != nil {
		m.broken(err)
	}
	return c
}

// over puts a record in the place of one whose window is over. m.mu is held.
func (m *Marks) over(c *cell, now time.Time) int64 {
	for i, old := range m.cells {
		if _, end := old.slot.Window.Bounds(old.slot.Start); end.IsZero() || now.Before(end) {
			continue
		}
		old.mu.Lock()
		old.gone = true
		old.mu.Unlock()
		m.cells[i] = c
		return old.at
	}
	return 0
}

// set writes what is free. c.mu is held, over I/O: a later amount must not be
// overwritten by an earlier one.
func (c *cell) set(free llm.Nanodollars) {
	free = max(free, 0)
	if c.gone || free == c.last {
		return
	}
	c.last = free
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(free))
	if _, err := c.marks.file.WriteAt(b[:], c.at); err != nil {
		c.marks.broken(err)
	}
}

// broken takes the file away: it may say more than there is.
func (m *Marks) broken(err error) {
	m.mu.Lock()
	was := m.dead
	m.dead = true
	m.mu.Unlock()
	if !was && m.fail != nil {
		m.fail(errors.Join(err, os.Remove(m.file.Name())))
	}
}

// SetMarks has the keeper write down what is free, from now on. It is called
// before the first request.
func (k *Keeper) SetMarks(m *Marks) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.marks = m
}

// mark writes down what is free in some purses, as it is now. It may wait for a
// disk; nobody holds mu meanwhile.
func (k *Keeper) mark(purses []*purse) {
	k.mu.Lock()
	m := k.marks
	k.mu.Unlock()
	if m == nil {
		return
	}
	for _, p := range purses {
		p.marking.Lock()
		if p.cell == nil {
			p.cell = m.cell(p.Slot, time.Now())
		}
		c := p.cell
		p.marking.Unlock()
		if c == nil {
			continue
		}
		c.mu.Lock()
		k.mu.Lock()
		free := p.free()
		k.mu.Unlock()
		c.set(free)
		c.mu.Unlock()
	}
}
