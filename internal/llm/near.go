package llm

// Nearest gives the known word that a misspelt one most likely is; "" when none
// is near. Of equally near ones it is the first.
func Nearest(got string, known []string) string {
	best, least := "", 1+len(got)/3
	for _, k := range known {
		if n := distance(got, k); n <= least && (best == "" || n < least) {
			best, least = k, n
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
