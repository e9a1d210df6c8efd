import { useState } from "preact/hooks";
import { call, change, may, session, useApi } from "../api.js";
import type { PageProps } from "../app.js";
import type { Member, MemberIssued, MemberList, RightList } from "../schema.js";
import { Ago, Button, Code, Dialog, Empty, Input, Page, Panel, Select, Shown, Table, Tag } from "../ui.js";

const roles: [string, string][] = [["viewer", "viewer: looks"], ["billing", "billing: looks at money, sets budgets"], ["admin", "admin: runs it"], ["owner", "owner: all, and lets people in"]];

export default function Members(_: PageProps) {
  const members = useApi<MemberList>("members");
  const rights = useApi<RightList>("rights");
  const [edit, setEdit] = useState<Partial<Member>>();
  const [end, setEnd] = useState<Member>();
  const [made, setMade] = useState<MemberIssued>();
  const write = may("members.write");
  return (
    <Page title="People" lead="Who runs the gateway, and what each role may do. Nobody here can call a model: that is what keys are for." actions={write && <Button kind="main" onClick={() => setEdit({})}>Let somebody in</Button>}>
      <Panel flush title="Members">
        <Shown from={members} height={200}>
          {({ members: rows }) => rows.length ? (
            <Table label="Members" rows={rows} id={(m) => m.id} dim={(m) => Boolean(m.ended)} columns={[
              { name: "Name", cell: (m) => <span class="row">{m.name}{m.id === session()?.id && <Tag tone="accent">you</Tag>}</span>, by: (m) => m.name },
              { name: "E-mail", cell: (m) => m.email || <span class="muted">–</span> },
              { name: "Role", cell: (m) => <Tag>{m.role}</Tag> },
              { name: "Signs in with", low: true, cell: (m) => (m.issuer ? m.issuer : m.prefix ? <span class="mono">{m.prefix}…</span> : <span class="muted">nothing</span>) },
              { name: "Since", low: true, cell: (m) => (m.ended ? <>left <Ago at={m.ended} /></> : <Ago at={m.created} />) },
              { name: <span class="sr">What to do</span>, num: true, cell: (m) => write && !m.ended && <span class="row" style={{ justifyContent: "flex-end", flexWrap: "nowrap" }}>
                <Button slim onClick={() => setEdit(m)} label={"Change " + m.name}>Change</Button>
                <Button slim label={"New token for " + m.name} onClick={async () => setMade(await call<MemberIssued>("POST", `members/${encodeURIComponent(m.id)}/token`, {}))}>New token</Button>
                <Button slim kind="danger" onClick={() => setEnd(m)} label={"End " + m.name}>End</Button>
              </span> },
            ]} />
          ) : (
            <Empty title="Only admin keys so far" actions={write && <Button kind="main" onClick={() => setEdit({})}>Let somebody in</Button>}>Give each person a token and a role of their own, so that the audit log says who it was.</Empty>
          )}
        </Shown>
      </Panel>
      {members.data && <Panel flush title="What a role may do">
        <Shown from={rights} height={300}>
          {({ rights: rows }) => <Table label="Rights" rows={rows} id={(r) => r.do} columns={[
            { name: "Right", cell: (r) => <span>{r.means} <span class="mono small muted lo">{r.do}</span></span> },
            ...["viewer", "billing", "admin", "owner"].map((role) => ({ name: role, cell: (r: RightList["rights"][number]) => (r.may.includes(role) ? <span class="ok" aria-label="yes">●</span> : <span class="muted" aria-label="no">–</span>) })),
          ]} />}
        </Shown>
      </Panel>}
      {edit && <Edit was={edit} close={() => setEdit(undefined)} done={(m) => { setEdit(undefined); setMade(m); members.reload(); }} />}
      {made && <Dialog title={"The token of " + made.member.name} close={() => setMade(undefined)}><p>Copy it now: it is kept only as a hash and can never be shown again.</p><Code text={made.token} label="token" fold /></Dialog>}
      {end && <Dialog title={"End " + end.name} close={() => setEnd(undefined)} danger action="End" submit={async () => {
        await change("DELETE", "members/" + encodeURIComponent(end.id));
        setEnd(undefined);
        members.reload();
      }}><p>The token and all sessions end at once, for ever.</p></Dialog>}
    </Page>
  );
}

function Edit(p: { was: Partial<Member>; close: () => void; done: (m?: MemberIssued) => void }) {
  const [name, setName] = useState(p.was.name ?? ""), [email, setEmail] = useState(p.was.email ?? ""), [role, setRole] = useState<string>(p.was.role ?? "viewer");
  return (
    <Dialog title={p.was.id ? "Change " + p.was.name : "Let somebody in"} close={p.close} action={p.was.id ? "Change" : "Let in"} submit={async () => {
      if (p.was.id) {
        await change("PUT", "members/" + encodeURIComponent(p.was.id), { name, email, role });
        p.done();
      } else p.done(await call<MemberIssued>("POST", "members", { name, email, role }));
    }}>
      <Input label="Name" value={name} set={setName} required maxLength={128} autofocus />
      <Input label="E-mail" type="email" value={email} set={setEmail} maxLength={128} hint="Single sign-on finds a member by it." />
      <Select label="Role" value={role} set={setRole} options={roles} />
    </Dialog>
  );
}
