package admin

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"headrace/internal/access"
	"headrace/internal/llm"
)

// Member is a person who runs the gateway with others.
type Member struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
	Role  string `json:"role" enum:"owner,admin,viewer,billing"`
	// Prefix is the beginning of the member's token; empty for one without.
	Prefix string `json:"prefix"`
	// Issuer says which single sign-on vouches for the member; empty for none.
	Issuer  string    `json:"issuer,omitzero"`
	Created time.Time `json:"created"`
	// Ended is left out while the member is here.
	Ended time.Time `json:"ended,omitzero"`
}

// MemberSpec is what a member is to be.
type MemberSpec struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	Role  string `json:"role" enum:"owner,admin,viewer,billing"`
}

// MemberList is all members.
type MemberList struct {
	Members []Member `json:"members"`
}

// MemberAnswer is one member.
type MemberAnswer struct {
	Member Member `json:"member"`
}

// MemberIssued is a member with a new token, which is shown this once.
type MemberIssued struct {
	Token  string `json:"token"`
	Member Member `json:"member"`
}

var memberRoutes = []route{
	{method: "GET", path: prefix + "members", name: "listMembers", summary: "List who runs the gateway, those that have left too.", may: "members.read", out: MemberList{}, status: 200, serve: (*server).listMembers},
	{method: "POST", path: prefix + "members", name: "createMember", summary: "Let somebody in. The token is shown this once.", may: "members.write", in: MemberSpec{}, out: MemberIssued{}, status: 201, serve: (*server).createMember},
	{method: "GET", path: prefix + "members/{id}", name: "member", summary: "Show a member.", may: "members.read", etag: true, out: MemberAnswer{}, status: 200, serve: (*server).member},
	{method: "PUT", path: prefix + "members/{id}", name: "changeMember", summary: "Change the name, e-mail and role of a member. Takes If-Match.", may: "members.write", etag: true, in: MemberSpec{}, out: MemberAnswer{}, status: 200, serve: (*server).changeMember},
	{method: "DELETE", path: prefix + "members/{id}", name: "endMember", summary: "End a member, the token and all sessions for ever. Takes If-Match.", may: "members.write", etag: true, out: MemberAnswer{}, status: 200, serve: (*server).endMember},
	{method: "POST", path: prefix + "members/{id}/token", name: "renewMember", summary: "Give a member a new token; the old one ends at once.", may: "members.write", in: Nothing{}, out: MemberIssued{}, status: 201, serve: (*server).renewMember},
}

// Nothing is the body of what needs none.
type Nothing struct{}

func showMember(m access.Member) Member {
	return Member{ID: m.ID, Name: m.Name, Email: m.Email, Role: string(m.Role), Prefix: m.Prefix, Issuer: m.Issuer, Created: utc(m.Created), Ended: utc(m.Ended)}
}

func (s *server) listMembers(q *http.Request) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	if s.Staff == nil {
		return 0, nil, noStaff()
	}
	all, err := s.Staff.Everyone(q.Context())
	list := MemberList{Members: make([]Member, len(all))}
	for i := range all {
		list.Members[i] = showMember(all[i])
	}
	return http.StatusOK, list, err
}

// memberOf reads what a member is to be.
func memberOf(q *http.Request) (access.Member, error) {
	var in MemberSpec
	if err := read(q, &in); err != nil {
		return access.Member{}, err
	}
	for _, text := range []string{in.Name, in.Email} {
		if len(text) > maxName || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return access.Member{}, llm.Errorf(llm.InvalidRequest, "names and addresses are at most %d bytes without control characters", maxName)
		}
	}
	m := access.Member{Name: strings.TrimSpace(in.Name), Email: in.Email, Role: access.Role(in.Role)}
	return m, m.Check()
}

func (s *server) createMember(q *http.Request) (int, any, error) {
	if s.Staff == nil {
		return 0, nil, noStaff()
	}
	m, err := memberOf(q)
	if err != nil {
		return 0, nil, err
	}
	token, made, err := s.Staff.Hire(q.Context(), m, time.Now())
	if err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "members.create", made.ID+" "+string(made.Role))
	return http.StatusCreated, MemberIssued{token.Reveal(), showMember(made)}, nil
}

func (s *server) member(q *http.Request) (int, any, error) {
	if s.Staff == nil {
		return 0, nil, noStaff()
	}
	m, err := s.Staff.Find(q.Context(), q.PathValue("id"))
	return http.StatusOK, MemberAnswer{showMember(m)}, err
}

// held reads the member that a write is about, if it is still what the caller
// has seen.
func (s *server) held(q *http.Request) (access.Member, error) {
	if s.Staff == nil {
		return access.Member{}, noStaff()
	}
	m, err := s.Staff.Find(q.Context(), q.PathValue("id"))
	if err != nil {
		return m, err
	}
	return m, match(q, MemberAnswer{showMember(m)})
}

func (s *server) changeMember(q *http.Request) (int, any, error) {
	to, err := memberOf(q)
	if err != nil {
		return 0, nil, err
	}
	was, err := s.held(q)
	if err != nil {
		return 0, nil, err
	}
	to.ID = was.ID
	if was.ID == s.caller(q.Context()).ID && to.Role != was.Role {
		return 0, nil, refusal(http.StatusConflict, "own_role", "nobody changes their own role: ask another owner")
	}
	m, err := s.Staff.Change(q.Context(), to)
	if err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "members.change", m.ID+" "+string(was.Role)+" -> "+string(m.Role))
	return http.StatusOK, MemberAnswer{showMember(m)}, nil
}

func (s *server) endMember(q *http.Request) (int, any, error) {
	was, err := s.held(q)
	if err != nil {
		return 0, nil, err
	}
	if was.ID == s.caller(q.Context()).ID {
		return 0, nil, refusal(http.StatusConflict, "own_member", "nobody ends themselves: ask another owner")
	}
	m, err := s.Staff.Leave(q.Context(), was.ID, time.Now())
	if err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "members.end", m.ID)
	return http.StatusOK, MemberAnswer{showMember(m)}, nil
}

func (s *server) renewMember(q *http.Request) (int, any, error) {
	if s.Staff == nil {
		return 0, nil, noStaff()
	}
	if err := read(q, &Nothing{}); err != nil {
		return 0, nil, err
	}
	token, m, err := s.Staff.Renew(q.Context(), q.PathValue("id"))
	if err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "members.renew", m.ID)
	return http.StatusCreated, MemberIssued{token.Reveal(), showMember(m)}, nil
}

// mayAdmins refuses who may not make or end admin tokens, which are an owner's.
func (s *server) mayAdmins(q *http.Request, id string) error {
	if May(s.caller(q.Context()).Role, "members.write") {
		return nil
	}
	keys, err := s.Keys.Keys(q.Context())
	if err != nil {
		return err
	}
	if slices.ContainsFunc(keys, func(k Key) bool { return k.ID == id && k.Admin }) {
		return allow(s.caller(q.Context()), "members.write")
	}
	return nil
}
