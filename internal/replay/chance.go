package replay

import "headrace/internal/ledger"

// chancesOf are the candidates that a request's first target was chosen from, with
// their chances; none where no chance was involved or it is not known.
func chancesOf(*ledger.Entry) []chance { return nil }
