package tokens

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
)

// media counts a run of base64, given the bytes before it, which say what it
// is: a data URL or a media_type member.
func (n *counts) media(before, data []byte, f *weights) {
	switch {
	case bytes.Contains(before, []byte("image/")):
		n.pictures += f.picture(data)
	case bytes.Contains(before, []byte("/pdf")):
		n.documents += document(len(data))
	case bytes.Contains(before, []byte("audio")):
		n.documents += audio(len(data))
	default:
		// A signature or encrypted reasoning, or a picture whose type stands
		// behind it.
		if w, h := dimensions(data); w > 0 && h > 0 {
			n.pictures += f.picture(data)
		} else {
			n.opaque += int64(len(data))
		}
	}
}

// pageBytes is what a page of a PDF takes in base64, and pageTokens what it
// costs, both guesses in the middle of a wide range: Anthropic's documentation
// of 2026-08 gives 1,500 to 3,000 tokens of text a page, and the page's picture
// comes on top.
const (
	pageBytes  = 80_000
	pageTokens = 2_500
)

func document(size int) int64 { return int64(1+size/pageBytes) * pageTokens }

// audio takes compressed sound at 8 KB a second and 25 tokens a second.
func audio(size int) int64 { return int64(size)*3/4/8000*25 + 25 }

// picture is what an image costs.
func (f *weights) picture(data []byte) int64 {
	w, h := dimensions(data)
	if w <= 0 || h <= 0 {
		// Of an image whose size cannot be read, 1024 by 1024.
		w, h = 1024, 1024
	}
	return f.pixels(w, h)
}

// pixels is what an image of this size costs, by the vendors' own rules:
// Anthropic width*height/750 after shrinking the long edge to 1568 pixels (2576
// from Claude 4.7 on), documentation of 2026-08; OpenAI 85 and 170 for each tile
// of 512 pixels after shrinking to 2048 and to 768 on the short side; Gemini 258
// for each tile of 768 after shrinking to 3072 (documentation of Gemini 1.5 and
// 2.0), so that a head that lies about its size is not taken for a fortune.
func (f *weights) pixels(w, h int64) int64 {
	if w <= 0 || h <= 0 || w > 1<<20 || h > 1<<20 {
		w, h = 1024, 1024
	}
	switch f.image {
	case imageClaude:
		w, h = fit(w, h, f.edge)
		return min(max(w*h/750, 1), f.cap)
	case imageGemini:
		w, h = fit(w, h, 3072)
		if w <= 384 && h <= 384 {
			return 258
		}
		return 258 * ((w + 767) / 768) * ((h + 767) / 768)
	}
	w, h = fit(w, h, 2048)
	if short := min(w, h); short > 768 {
		w, h = w*768/short, h*768/short
	}
	return 85 + 170*((w+511)/512)*((h+511)/512)
}

func fit(w, h, edge int64) (int64, int64) {
	if long := max(w, h); long > edge {
		return max(w*edge/long, 1), max(h*edge/long, 1)
	}
	return w, h
}

// headBytes is how much of an image is decoded to find its size: enough for
// a JPEG with a colour profile or a small thumbnail before its frame.
const headBytes = 12 << 10

// dimensions reads width and height from the head of a PNG, GIF, WebP or JPEG
// in base64; zero when they are not found there.
func dimensions(data []byte) (w, h int64) {
	data = data[:min(len(data), headBytes)&^3]
	if len(data) < 32 {
		return 0, 0
	}
	// Only JPEG needs more than the first bytes.
	var small [48]byte
	k, err := base64.StdEncoding.Decode(small[:], data[:32])
	if err != nil {
		return 0, 0
	}
	b := small[:k]
	switch {
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return int64(binary.BigEndian.Uint32(b[16:])), int64(binary.BigEndian.Uint32(b[20:]))
	case bytes.HasPrefix(b, []byte("GIF8")):
		return int64(binary.LittleEndian.Uint16(b[6:])), int64(binary.LittleEndian.Uint16(b[8:]))
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		head := make([]byte, base64.StdEncoding.DecodedLen(len(data)))
		k, err := base64.StdEncoding.Decode(head, data)
		if err != nil && k == 0 {
			return 0, 0
		}
		return jpegFrame(head[:k])
	case bytes.HasPrefix(b, []byte("RIFF")) && len(data) >= 44:
		k, err := base64.StdEncoding.Decode(small[:], data[:44])
		if err != nil || k < 30 || string(small[8:12]) != "WEBP" {
			return 0, 0
		}
		return webpFrame(small[:k])
	}
	return 0, 0
}

// jpegFrame walks the segments to the frame header.
func jpegFrame(b []byte) (w, h int64) {
	for i := 2; i+9 < len(b) && b[i] == 0xff; {
		marker := b[i+1]
		if marker == 0xff {
			i++
			continue
		}
		if marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc {
			return int64(binary.BigEndian.Uint16(b[i+7:])), int64(binary.BigEndian.Uint16(b[i+5:]))
		}
		i += 2 + int(binary.BigEndian.Uint16(b[i+2:]))
	}
	return 0, 0
}

// webpFrame reads the first chunk.
func webpFrame(b []byte) (w, h int64) {
	switch string(b[12:16]) {
	case "VP8 ":
		return int64(binary.LittleEndian.Uint16(b[26:]) & 0x3fff), int64(binary.LittleEndian.Uint16(b[28:]) & 0x3fff)
	case "VP8L":
		v := binary.LittleEndian.Uint32(b[21:])
		return int64(v&0x3fff) + 1, int64(v>>14&0x3fff) + 1
	case "VP8X":
		return int64(b[24]) | int64(b[25])<<8 | int64(b[26])<<16 + 1, int64(b[27]) | int64(b[28])<<8 | int64(b[29])<<16 + 1
	}
	return 0, 0
}
