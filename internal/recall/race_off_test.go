//go:build !race

package recall_test

const raceDetector = false
