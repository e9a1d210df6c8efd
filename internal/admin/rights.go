package admin

import (
	"slices"

	"headrace/internal/access"
	"headrace/internal/llm"
)

// all, staff and the others are who may do something.
var (
	all     = access.Roles()
	looking = []access.Role{access.RoleOwner, access.RoleAdmin, access.RoleViewer}
	money   = []access.Role{access.RoleOwner, access.RoleAdmin, access.RoleBilling}
	running = []access.Role{access.RoleOwner, access.RoleAdmin}
	owning  = []access.Role{access.RoleOwner}
)

// rights is the whole table of who may do what. Every route names the row that it
// needs; what is not in the table nobody may do.
var rights = []struct {
	do  string
	may []access.Role
	// means says it in words.
	means string
}{
	{"status.read", all, "see how the gateway is, its figures and this description"},
	{"usage.read", all, "see what was used and what it cost"},
	{"models.read", all, "see models and prices"},
	{"keys.read", all, "list keys and teams, without their tokens"},
	{"budgets.read", all, "see budgets"},
	{"budgets.write", money, "set, remove and settle budgets"},
	{"requests.read", looking, "search requests and see how they went"},
	{"bodies.read", running, "read what was said in a request, where it is stored"},
	{"routes.read", looking, "see routes and how their rungs do"},
	{"batches.read", looking, "see jobs and the paths of their items"},
	{"providers.read", looking, "see providers, the limits of their credentials and what is set aside"},
	{"experiments.read", looking, "see experiments and what they have shown"},
	{"experiments.write", running, "start, stop and decide experiments"},
	{"keys.write", running, "make, change, rotate and end keys"},
	{"models.write", running, "read newer models and prices"},
	{"batches.write", running, "cancel jobs and queue what failed again"},
	{"providers.write", running, "add and remove credentials, and test a provider with a call that is paid for"},
	{"config.read", running, "see the configuration, without its secrets"},
	{"config.write", owning, "change the configuration: whoever does decides where all traffic goes"},
	{"audit.read", running, "see and verify who changed what"},
	{"members.read", running, "see who runs the gateway"},
	{"members.write", owning, "let people in, change their roles, and make or end admin tokens"},
}

// May says whether a role may do something.
func May(r access.Role, do string) bool {
	for i := range rights {
		if rights[i].do == do {
			return slices.Contains(rights[i].may, r)
		}
	}
	return false
}

// mays lists what a role may do, in the order of the table.
func mays(r access.Role) []string {
	list := []string{}
	for i := range rights {
		if slices.Contains(rights[i].may, r) {
			list = append(list, rights[i].do)
		}
	}
	return list
}

// allow refuses who may not do something.
func allow(p access.Person, do string) error {
	if May(p.Role, do) {
		return nil
	}
	return llm.Errorf(llm.Forbidden, "your role, %s, may not do this: it needs %s", p.Role, do)
}
