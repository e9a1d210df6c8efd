package admin

// SSO is a single sign-on.
type SSO interface {
	// Name is what it is called.
	Name() string
}
