package batch

import "time"

// File is what a client has uploaded: lines of a batch.
type File struct {
	ID FileID
	// Owner is the id of the virtual key that it belongs to; nobody else sees it.
	Owner string
	// Name and Purpose are the client's.
	Name, Purpose string
	// Bytes is the length of the content.
	Bytes int64
	// Expires is when it is deleted.
	Created, Expires time.Time
}

// FileID is time-ordered; it is shown as file-... by the door.
type FileID int64
