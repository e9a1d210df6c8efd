package storetest

import (
	"fmt"
	"sync"
	"time"

	"headrace/internal/access"
	"headrace/internal/audit"
	"headrace/internal/vault"
)

func members(f *fixture) {
	all, err := f.store.Members(f.ctx)
	f.must(err)
	f.same("members of an empty store", 0, len(all))
	ada := access.Member{ID: "mem_1", Name: "Ada 'quoted'", Email: "ada@example.com", Role: access.RoleOwner, Hash: access.Hash("a"), Prefix: "hra-abc", Created: noon}
	sso := access.Member{ID: "mem_2", Name: "Bob", Role: access.RoleViewer, Issuer: "https://id.example", Subject: "42", Created: noon.Add(time.Second)}
	f.must(f.store.PutMember(f.ctx, ada))
	f.must(f.store.PutMember(f.ctx, sso))
	all, err = f.again().Members(f.ctx)
	f.must(err)
	f.same("members, oldest first", []access.Member{ada, sso}, all)
	ada.Role, ada.Name, ada.Hash = access.RoleAdmin, "Ada", access.Hash("b")
	f.must(f.store.PutMember(f.ctx, ada))
	// One token is one member's, and one who is vouched for is one member.
	if err := f.store.PutMember(f.ctx, access.Member{ID: "mem_3", Name: "x", Hash: ada.Hash, Created: noon}); err == nil {
		f.Error("a token of two members is taken")
	}
	if err := f.store.PutMember(f.ctx, access.Member{ID: "mem_3", Name: "x", Issuer: sso.Issuer, Subject: sso.Subject, Created: noon}); err == nil {
		f.Error("a subject of two members is taken")
	}
	stale := sso
	sso.Ended = noon.Add(time.Hour)
	f.must(f.store.PutMember(f.ctx, sso))
	f.must(f.store.PutMember(f.ctx, stale))
	all, err = f.store.Members(f.ctx)
	f.must(err)
	f.same("members at the end", []access.Member{ada, sso}, all)
	// Who has left may come back, as somebody new.
	f.must(f.store.PutMember(f.ctx, access.Member{ID: "mem_3", Name: "Bob", Issuer: sso.Issuer, Subject: sso.Subject, Created: noon.Add(2 * time.Hour)}))
}

func sessions(f *fixture) {
	one := access.Session{Hash: access.Hash("cookie"), Member: "mem_1", Began: noon, Seen: noon, Ends: noon.Add(12 * time.Hour)}
	if _, ok, err := f.store.Session(f.ctx, one.Hash); ok || err != nil {
		f.Errorf("an unknown session: %t, %v", ok, err)
	}
	f.must(f.store.PutSession(f.ctx, one))
	one.Seen = noon.Add(time.Minute)
	f.must(f.store.PutSession(f.ctx, one))
	got, ok, err := f.again().Session(f.ctx, one.Hash)
	f.must(err)
	f.same("a session in another process", []any{true, one}, []any{ok, got})
	idle := access.Session{Hash: access.Hash("idle"), Key: "key_1", Began: noon, Seen: noon, Ends: noon.Add(24 * time.Hour)}
	f.must(f.store.PutSession(f.ctx, idle))
	f.must(f.store.SweepSessions(f.ctx, noon.Add(time.Hour), noon.Add(30*time.Second)))
	for name, c := range map[string]struct {
		hash [32]byte
		ok   bool
	}{"in use": {one.Hash, true}, "idle": {idle.Hash, false}} {
		if _, ok, err := f.store.Session(f.ctx, c.hash); ok != c.ok || err != nil {
			f.Errorf("a session that is %s: %t, %v", name, ok, err)
		}
	}
	f.must(f.store.DropSession(f.ctx, one.Hash))
	f.must(f.store.DropSession(f.ctx, one.Hash))
	if _, ok, err := f.store.Session(f.ctx, one.Hash); ok || err != nil {
		f.Errorf("a dropped session: %t, %v", ok, err)
	}
}

func auditChain(f *fixture) {
	other := f.again()
	var wg sync.WaitGroup
	for i := range 40 {
		s := f.store
		if i%2 == 1 {
			s = other
		}
		wg.Go(func() {
			_, err := s.AppendAudit(f.ctx, audit.Row{At: noon.Add(time.Duration(i) * time.Second), Actor: fmt.Sprintf("mem_%d", i%3), Action: "keys.create", Subject: "key 'q' \x00"})
			f.ok(err)
		})
	}
	wg.Wait()
	v, err := audit.Verify(f.ctx, other, [32]byte{})
	f.must(err)
	if v.Rows != 40 || v.Broken != 0 {
		f.Errorf("the chain: %+v", v)
	}
	rows, err := f.store.AuditRows(f.ctx, audit.Filter{Actor: "mem_0", Limit: 5})
	f.must(err)
	if len(rows) != 5 || rows[0].N < rows[1].N || rows[0].Actor != "mem_0" {
		f.Errorf("rows of one actor: %+v", rows)
	}
	rest, err := f.store.AuditRows(f.ctx, audit.Filter{Actor: "mem_0", Before: rows[4].N, Limit: 100})
	f.must(err)
	f.same("the next page", 9, len(rest))
	few, err := f.store.AuditRows(f.ctx, audit.Filter{Action: "keys.create", Since: noon.Add(10 * time.Second), Until: noon.Add(12 * time.Second), Limit: 100})
	f.must(err)
	f.same("rows of two seconds", 2, len(few))
}

func credentials(f *fixture) {
	one := vault.Credential{Provider: "openai", Name: "main", Last: "abcd", Added: noon, By: "mem_1", Sealed: []byte{0, 1, 2}}
	two := vault.Credential{Provider: "mistral", Name: "main", Added: noon, Sealed: []byte{3}}
	for _, c := range []vault.Credential{one, two} {
		added, err := f.store.PutCredential(f.ctx, c)
		f.must(err)
		f.same("added", true, added)
	}
	changed := one
	changed.Sealed = []byte{9}
	added, err := f.store.PutCredential(f.ctx, changed)
	f.must(err)
	f.same("a name that is taken", false, added)
	all, err := f.again().Credentials(f.ctx)
	f.must(err)
	f.same("credentials", []vault.Credential{two, one}, all)
	was, err := f.store.DropCredential(f.ctx, "openai", "main")
	f.must(err)
	gone, err := f.store.DropCredential(f.ctx, "openai", "main")
	f.must(err)
	f.same("dropped once and twice", []bool{true, false}, []bool{was, gone})
}

func versions(f *fixture) {
	var ids []int64
	for i := range 5 {
		id, err := f.store.PutVersion(f.ctx, vault.Version{At: noon.Add(time.Duration(i) * time.Second), By: "x", Why: fmt.Sprint(i), Sum: fmt.Sprint("sum", i), Sealed: []byte{byte(i)}}, 3)
		f.must(err)
		ids = append(ids, id)
	}
	all, err := f.store.Versions(f.ctx, 0, 10)
	f.must(err)
	if len(all) != 3 || all[0].ID != ids[4] || all[2].ID != ids[2] || all[0].Sealed != nil {
		f.Errorf("versions: %+v", all)
	}
	rest, err := f.store.Versions(f.ctx, all[0].ID, 1)
	f.must(err)
	f.same("the next page", ids[3], rest[0].ID)
	v, ok, err := f.store.Version(f.ctx, ids[4])
	f.must(err)
	f.same("a version", []any{true, []byte{4}, "sum4"}, []any{ok, v.Sealed, v.Sum})
	if _, ok, err := f.store.Version(f.ctx, ids[0]); ok || err != nil {
		f.Errorf("a version that was dropped: %t, %v", ok, err)
	}
}
