package span

// Careful is the slow twin of Members, for tests that hold one to the other.
var Careful = careful

// Quick is the quick scan alone.
var Quick = quick
