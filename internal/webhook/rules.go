package webhook

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// Rules say whom messages may go to: public addresses, and what the operator
// allows. They are asked with the address that is dialled, so that no name can
// lead elsewhere after it was looked at. Nil allows public addresses alone.
type Rules struct {
	hosts map[string]bool
	nets  []netip.Prefix
}

// NewRules reads what the operator allows beside public addresses: names of
// hosts, addresses, and networks such as 10.1.2.0/24.
func NewRules(allow []string) (*Rules, error) {
	r := &Rules{hosts: map[string]bool{}}
	for _, a := range allow {
		if p, err := netip.ParsePrefix(a); err == nil {
			r.nets = append(r.nets, p.Masked())
			continue
		}
		if ip, err := netip.ParseAddr(a); err == nil {
			r.nets = append(r.nets, netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()))
			r.hosts[a] = true
			continue
		}
		if a == "" || strings.ContainsAny(a, "/: ") {
			return nil, fmt.Errorf("%q is neither a host's name nor an address nor a network", a)
		}
		r.hosts[strings.ToLower(a)] = true
	}
	return r, nil
}

// named says whether the operator allows a host by its name or literal address.
func (r *Rules) named(host string) bool {
	if r == nil {
		return false
	}
	if r.hosts[strings.ToLower(host)] {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && r.holds(ip)
}

func (r *Rules) holds(ip netip.Addr) bool {
	if r == nil {
		return false
	}
	for _, p := range r.nets {
		if p.Contains(ip.Unmap()) {
			return true
		}
	}
	return false
}

// literal refuses a host that is an address which must not be dialled.
func (r *Rules) literal(host string) error {
	ip, err := netip.ParseAddr(host)
	if err != nil || r.named(host) {
		return nil
	}
	return r.check(ip)
}

// closed are networks that no message goes to, beside those that netip knows:
// private, loopback, link-local, multicast and unspecified ones. Source: the
// IANA special-purpose address registries, 2026-11.
var closed = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "240.0.0.0/4", "::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fec0::/10")

// carriers are IPv6 networks whose addresses hold an IPv4 address, and where.
var carriers = []struct {
	net netip.Prefix
	at  int
}{{netip.MustParsePrefix("64:ff9b::/96"), 12}, {netip.MustParsePrefix("2002::/16"), 2}}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// check refuses an address that is not public, unless the operator allows it.
func (r *Rules) check(ip netip.Addr) error {
	ip = ip.Unmap().WithZone("")
	if r.holds(ip) {
		return nil
	}
	for _, c := range carriers {
		if c.net.Contains(ip) {
			raw := ip.As16()
			return r.check(netip.AddrFrom4([4]byte(raw[c.at : c.at+4])))
		}
	}
	shut := ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || !ip.IsValid()
	for _, p := range closed {
		shut = shut || p.Contains(ip)
	}
	if shut {
		return fmt.Errorf("%s is not a public address, and webhooks.allow does not name it", ip)
	}
	return nil
}

// client sends messages by the rules: to no proxy, following nothing.
func (r *Rules) client() *http.Client {
	guarded := &net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return r.check(at.Addr())
	}}
	free := &net.Dialer{Timeout: 10 * time.Second}
	t := &http.Transport{DisableKeepAlives: true, TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			if r.named(host) {
				return free.DialContext(ctx, network, address)
			}
			return guarded.DialContext(ctx, network, address)
		}}
	return &http.Client{Transport: t, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
