package recall

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// keyBytes is the length of a key: AES-256.
const keyBytes = 32

// Seal encrypts what is kept at rest, with AES-256-GCM. A sealed text is bound
// to its kind, owner and id: it opens under no other. Safe for concurrent use.
type Seal struct {
	// keys has the one to seal with first; all of them open.
	keys []sealKey
}

type sealKey struct {
	id   string
	aead cipher.AEAD
}

// ErrNoKey says that a row was sealed with a key that is not there any more.
var ErrNoKey = errors.New("it is sealed with a key that is not here")

// NewSeal makes a Seal of keys of 32 bytes each. The first one seals, all of
// them open.
func NewSeal(keys ...[]byte) (*Seal, error) {
	if len(keys) == 0 {
		return nil, errors.New("a seal needs a key")
	}
	s := &Seal{}
	for i, k := range keys {
		if len(k) != keyBytes {
			return nil, fmt.Errorf("key %d has %d bytes, want %d", i+1, len(k), keyBytes)
		}
		block, err := aes.NewCipher(k)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		name := sha256.Sum256(append([]byte("headrace recall key id\x00"), k...))
		s.keys = append(s.keys, sealKey{hex.EncodeToString(name[:8]), aead})
	}
	return s, nil
}

// OpenSeal reads the keys in the file at path, one of 64 hex digits a line, the
// one to seal with first. A file that is not there is made, with one new key
// and mode 0600; one that others may read is closed to them.
func OpenSeal(path string) (*Seal, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKeyFile(path); err != nil {
			return nil, fmt.Errorf("make the key file %s: %w", path, err)
		}
		text, err = os.ReadFile(path) // another process may have been first
	}
	if err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = os.Chmod(path, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("close the key file to others: %w", err)
	}
	var keys [][]byte
	for _, line := range strings.Fields(string(text)) {
		k, err := hex.DecodeString(line)
		if err != nil {
			return nil, fmt.Errorf("the key file %s holds something else than keys of %d hex digits", path, 2*keyBytes)
		}
		keys = append(keys, k)
	}
	s, err := NewSeal(keys...)
	if err != nil {
		return nil, fmt.Errorf("the key file %s: %w", path, err)
	}
	return s, nil
}

// makeKeyFile makes the file in one step, so that nobody reads half of it, and
// leaves one that another process has made in the meantime.
func makeKeyFile(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	key := make([]byte, keyBytes)
	rand.Read(key) // never fails
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Link(f.Name(), path); err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return os.Rename(f.Name(), path) // a file system without links
}

// close encrypts plain into r, whose id must be set.
func (s *Seal) close(r *Sealed, plain []byte) {
	r.Key = s.keys[0].id
	r.Data = s.keys[0].aead.Seal(nil, nil, plain, r.bound())
}

// open decrypts a row.
func (s *Seal) open(r *Sealed) ([]byte, error) {
	for i := range s.keys {
		if s.keys[i].id != r.Key {
			continue
		}
		plain, err := s.keys[i].aead.Open(nil, nil, r.Data, r.bound())
		if err != nil {
			return nil, fmt.Errorf("open a sealed %s: %w", r.Kind, err)
		}
		return plain, nil
	}
	return nil, fmt.Errorf("open a sealed %s: %w", r.Kind, ErrNoKey)
}

// bound is what a sealed text is bound to.
func (r *Sealed) bound() []byte {
	return []byte(string(r.Kind) + "\x00" + r.Owner + "\x00" + r.ID)
}

// Close encrypts plain for rooms that keep sealed texts of their own; label
// binds it to what it is. The key's id goes before the text.
func (s *Seal) Close(label string, plain []byte) []byte {
	k := &s.keys[0]
	return k.aead.Seal([]byte(k.id), nil, plain, []byte(label))
}

// Open decrypts what Close wrote under the same label.
func (s *Seal) Open(label string, sealed []byte) ([]byte, error) {
	for i := range s.keys {
		if text, ok := bytes.CutPrefix(sealed, []byte(s.keys[i].id)); ok {
			plain, err := s.keys[i].aead.Open(nil, nil, text, []byte(label))
			if err != nil {
				return nil, fmt.Errorf("open what is sealed: %w", err)
			}
			return plain, nil
		}
	}
	return nil, fmt.Errorf("open what is sealed: %w", ErrNoKey)
}
