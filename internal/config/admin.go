package config

import "net/url"

// validateAdmin checks what the fields' own rules cannot say.
func (c *Config) validateAdmin(bad func(path, format string, args ...any)) {
	o := c.Admin.OIDC
	if o == nil {
		return
	}
	if o.Issuer == "" {
		bad("admin.oidc", "a single sign-on needs its issuer")
	} else if u, err := url.Parse(o.Issuer); err == nil && u.Scheme != "https" && !local(u.Hostname()) {
		bad("admin.oidc.issuer", "an issuer on another host is reached by https: whoever could answer for it could let anybody in")
	}
	if o.ClientID == "" {
		bad("admin.oidc", "a single sign-on needs a client_id")
	}
	if c.Admin.URL == "" {
		bad("admin.oidc", "a single sign-on needs admin.url, to come back to")
	}
	if len(o.Roles) == 0 && o.Default == "" {
		bad("admin.oidc", "nobody could sign in: give roles to groups, or a default")
	}
}
