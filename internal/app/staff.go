package app

import (
	"cmp"
	"net/url"
	"strings"

	"headrace/internal/access"
	"headrace/internal/admin"
	"headrace/internal/config"
	"headrace/internal/signon"
)

// staff lets people into the admin API: with admin keys, and as members.
func (a *App) staff() access.Staff { return access.Staff{Store: a.db, Keys: a.directory} }

// ownHost is the host name that browsers reach this gateway by, as the
// configuration says; empty when it does not.
func ownHost(cfg *config.Config) string {
	u, err := url.Parse(cfg.Admin.URL)
	if err != nil {
		return "" // config has checked it
	}
	return u.Hostname()
}

// sso is the single sign-on of the configuration; nil without one.
func (a *App) sso() admin.SSO {
	c := &a.config().Admin
	if c.OIDC == nil {
		return nil
	}
	o := signon.Options{Name: cmp.Or(c.OIDC.Name, "single sign-on"), Issuer: c.OIDC.Issuer, ClientID: c.OIDC.ClientID, ClientSecret: c.OIDC.ClientSecret,
		Return: strings.TrimSuffix(c.URL, "/") + "/admin/v1/session/oidc/callback", Scopes: c.OIDC.Scopes,
		Groups: c.OIDC.Groups, Roles: map[string]access.Role{}, Default: access.Role(c.OIDC.Default)}
	if len(o.Scopes) == 0 {
		o.Scopes = []string{"profile", "email"}
	}
	for group, role := range c.OIDC.Roles {
		o.Roles[group] = access.Role(role)
	}
	return signon.New(o)
}
