// Made by tools/dash of internal/admin/openapi.json; do not edit.

export interface ArmPointView {
  high?: number;
  low?: number;
  n: number;
  value: number;
}

export interface Aside {
  class: string;
  message: string;
  op: string;
  until: string;
}

export interface Attempt {
  class?: string;
  cost: Cost;
  finish?: string;
  first_byte_ms: number;
  message?: string;
  model: string;
  n: number;
  provider: string;
  refused?: Refused;
  start: string;
  status: number;
  total_ms: number;
  upstream_id?: string;
  usage: Tokens;
  why: string;
}

export interface AuditList {
  next?: string;
  rows: AuditRow[];
}

export interface AuditRow {
  action: string;
  actor: string;
  at: string;
  hash: string;
  n: number;
  prev: string;
  subject: string;
}

export interface AuditVerdict {
  broken?: number;
  head: string;
  ok: boolean;
  rows: number;
  why?: string;
}

export interface BodiesAnswer {
  bodies: unknown;
}

export interface Bounded {
  high: number;
  low: number;
  value: number;
}

export interface Budget {
  alerts: number[];
  declared: boolean;
  id: string;
  lease_nanodollars: number;
  left_nanodollars: number;
  limit_nanodollars: number;
  lost_nanodollars: number;
  reached: number;
  reserved_nanodollars: number;
  resets?: string;
  scope: "key" | "team" | "tag";
  spent_nanodollars: number;
  start?: string;
  subject: string;
  window: "daily" | "weekly" | "monthly" | "total";
}

export interface BudgetAnswer {
  budget: Budget;
}

export interface BudgetGone {
  id: string;
}

export interface BudgetList {
  budgets: Budget[];
}

export interface BudgetName {
  id?: string;
}

export interface BudgetSettled {
  given_back_nanodollars: number;
  id: string;
}

export interface BudgetSpec {
  alerts?: number[];
  limit_nanodollars?: number;
  scope?: "key" | "team" | "tag";
  subject?: string;
  window?: "daily" | "weekly" | "monthly" | "total";
}

export interface Candidate {
  asked: boolean;
  chance: number;
  collapsed: boolean;
  expected_cost_nanodollars?: number;
  expected_first_token_p95_ms?: number;
  expected_success: number;
  first: boolean;
  left?: string;
  rung: number;
  target: string;
  thinking?: string;
}

export interface ClassCount {
  class: string;
  count: number;
}

export interface Comparison {
  models: ModelCost[];
  notes: string[];
  workload: WorkloadSums;
}

export interface Config {
  effective: string;
  file: string;
  read_only?: string;
  text: string;
  writable: boolean;
}

export interface ConfigAnswer {
  config: Config;
}

export interface ConfigBack {
  id?: number;
}

export interface ConfigCheck {
  diff: string;
  later: string[];
  notes: string[];
  ok: boolean;
  problems: ConfigProblem[];
}

export interface ConfigHistory {
  next?: string;
  versions: ConfigVersion[];
}

export interface ConfigPast {
  diff: string;
  text: string;
  version: ConfigVersion;
}

export interface ConfigProblem {
  column: number;
  line: number;
  message: string;
  path: string;
  source: string;
}

export interface ConfigText {
  note?: string;
  text?: string;
}

export interface ConfigVersion {
  at: string;
  by: string;
  current: boolean;
  id: number;
  sum: string;
  why: string;
}

export interface Cost {
  nanodollars: number;
  priced: boolean;
}

export interface Count {
  count: number;
  name: string;
}

export interface Credential {
  added?: string;
  by?: string;
  last: string;
  name: string;
  source: string;
  state?: CredentialState;
  stored: boolean;
}

export interface CredentialAnswer {
  credential: Credential;
}

export interface CredentialGone {
  name: string;
  provider: string;
}

export interface CredentialLimit {
  kind: "requests_minute" | "requests_day" | "tokens_minute" | "tokens_day" | "input_tokens_minute" | "output_tokens_minute";
  left: number;
  limit: number;
  model?: string;
  op?: string;
  per_seconds: number;
  source: "configured" | "learned";
}

export interface CredentialSpec {
  key?: string;
  name?: string;
}

export interface CredentialState {
  limits: CredentialLimit[];
  more_limits: number;
  name: string;
  parallel: number;
  pauses: Pause[];
  provider: string;
  running: number;
  set_aside: Aside[];
  state: "ready" | "rate_limited" | "set_aside";
}

export interface Elsewhere {
  cost_nanodollars: number;
  how: string;
  requests: number;
  rows: ElsewhereRow[];
  since: string;
  tokens: Tokens;
  unpriced: number;
}

export interface ElsewhereRow {
  cost_nanodollars: number;
  model: string;
  window: number;
}

export interface ErrorClass {
  class: string;
  does: string;
  means: string;
  next: boolean;
  repeat: number;
  status: number;
}

export interface ErrorTable {
  classes: ErrorClass[];
}

export interface Experiment {
  allocation: "fixed" | "bandit";
  arms: ExperimentArm[];
  began?: string;
  decision: string;
  ended?: string;
  error_bound: number;
  history?: ExperimentPoint[];
  metric: "success" | "cost_per_success" | "latency";
  name: string;
  on: string;
  phase: "waiting" | "running" | "stopped" | "decided";
  sample_ratio: SampleRatio;
  shadow?: ShadowState;
  strays: number;
  unit: "session" | "user" | "key";
  winner?: string;
}

export interface ExperimentAnswer {
  experiment: Experiment;
}

export interface ExperimentArm {
  cost_nanodollars: number;
  counted: number;
  difference?: Bounded;
  failed: number;
  guardrails: GuardrailState[];
  judged: number;
  model?: string;
  name: string;
  planned_share: number;
  refused: number;
  requests: number;
  set?: ExperimentSetting[];
  share: number;
  stopped?: string;
  succeeded: number;
  thinking?: string;
  units: number;
  unpriced: number;
  value?: Bounded;
}

export interface ExperimentDecision {
  arm?: string;
}

export interface ExperimentList {
  experiments: Experiment[];
}

export interface ExperimentOrder {
  name: string;
  order: "start" | "stop" | "decide";
}

export interface ExperimentPoint {
  arms: ArmPointView[];
  at: string;
}

export interface ExperimentSetting {
  name: string;
  value: string;
}

export interface Explanation {
  candidates: Candidate[];
  chance: number;
  delta: number;
  fault?: string;
  feedback: Feedback[];
  labels: number;
  request: Request;
  route: string;
  rule: string;
  success: number;
  task: string;
  why: string;
}

export interface Feedback {
  at: string;
  explicit: boolean;
  score: number;
  signal: string;
  value_nanodollars?: number;
}

export interface GuardrailState {
  control: number;
  margin: number;
  name: string;
  value: number;
  verdict: "unsure" | "harmful" | "harmless";
}

export interface Issued {
  key: Key;
  token: string;
}

export interface Job {
  canceled?: string;
  counts: Count[];
  created: string;
  deadline: string;
  dialect: string;
  double_nanodollars: number;
  ended?: string;
  form: "messages" | "files" | "single" | "lines";
  id: string;
  items: number;
  key: string;
  left: number;
  name: string;
  real_time_nanodollars: number;
  spent_nanodollars: number;
  team: string;
}

export interface JobAnswer {
  job: Job;
  next?: string;
  steps: Step[];
}

export interface JobList {
  jobs: Job[];
  next?: string;
}

export interface JobRetried {
  items: number;
  job: Job;
}

export interface JobRetry {
  deadline?: string;
}

export interface Key {
  admin: boolean;
  created: string;
  expires?: string;
  id: string;
  limits: Limits;
  may_raise: boolean;
  models: string[];
  name: string;
  prefix: string;
  priority?: "interactive" | "standard" | "batch";
  revoked?: string;
  rotated_to?: string;
  state: "active" | "expired" | "revoked";
  team: string;
}

export interface KeyAnswer {
  key: Key;
}

export interface KeyList {
  keys: Key[];
}

export interface KeySpec {
  admin?: boolean;
  expires?: string;
  expires_in?: string;
  limits?: Limits;
  may_raise?: boolean;
  models?: string[];
  name?: string;
  priority?: "interactive" | "standard" | "batch";
  team?: string;
}

export interface Limits {
  parallel: number;
  requests_per_minute: number;
  tokens_per_minute: number;
}

export interface Load {
  body_bytes: number;
  limit: number;
  most: number;
  queued: Count[];
  running: number;
  shed: Count[];
  waiting: number;
}

export interface Member {
  created: string;
  email: string;
  ended?: string;
  id: string;
  issuer?: string;
  name: string;
  prefix: string;
  role: "owner" | "admin" | "viewer" | "billing";
}

export interface MemberAnswer {
  member: Member;
}

export interface MemberIssued {
  member: Member;
  token: string;
}

export interface MemberList {
  members: Member[];
}

export interface MemberSpec {
  email?: string;
  name?: string;
  role?: "owner" | "admin" | "viewer" | "billing";
}

export interface Middle {
  count: number;
  p50: number;
  p95: number;
}

export interface Model {
  aliases: string[];
  efforts: string[];
  features: string[];
  id: string;
  max_output: number;
  name: string;
  price?: Price;
  provider: string;
  state: string;
  usable: boolean;
  window: number;
}

export interface ModelAnswer {
  since: string;
  use: ModelUse;
}

export interface ModelCost {
  against?: number;
  cannot_do: number;
  cost_nanodollars?: number;
  id: string;
  lacks: string[];
  output_tokens: number;
  prompt_tokens: number;
  token_ratio: number;
  tokenizer: string;
  too_long: number;
  unknown: boolean;
  usable: boolean;
}

export interface ModelList {
  models: Model[];
}

export interface ModelUse {
  health?: TargetHealth;
  model: Model;
  used: UsageRow;
}

export interface Nothing {
}

export interface Overview {
  at: string;
  budgets: Budget[];
  live: Pulse;
  month: Spend;
  providers: ProviderHealth[];
  recent: Recent;
  savings: Saving[];
  today: Spend;
}

export interface OverviewAnswer {
  overview: Overview;
}

export interface Pause {
  model?: string;
  op?: string;
  until: string;
}

export interface Price {
  cache_read?: number;
  cache_write_1h?: number;
  cache_write_5m?: number;
  input?: number;
  note?: string;
  output?: number;
}

export interface Problem {
  error: {
    code: string;
    message: string;
  };
}

export interface Provider {
  advice?: string;
  base_url: string;
  dialect: string;
  id: string;
  models: number;
  name: string;
  source: string;
  state: "ready" | "skipped" | "disabled";
}

export interface ProviderAnswer {
  detail: ProviderDetail;
}

export interface ProviderDetail {
  credentials: Credential[];
  provider: Provider;
  targets: TargetHealth[];
}

export interface ProviderHealth {
  aside: string[];
  attempts: number;
  first_byte_p50: number;
  id: string;
  name: string;
  running: number;
  state: "ok" | "degraded" | "down" | "idle";
  success_rate?: number;
}

export interface ProviderList {
  providers: Provider[];
}

export interface ProviderTest {
  model?: string;
}

export interface ProviderTested {
  answer: string;
  class?: string;
  cost: Cost;
  first_byte_ms: number;
  message?: string;
  model: string;
  ok: boolean;
  request: string;
  status: number;
  total_ms: number;
}

export interface Pulse {
  at: string;
  cost_nanodollars: number;
  failed: number;
  ledger_waiting: number;
  requests: number;
  running: number;
  skipped: number;
  waiting: number;
}

export interface Quantiles {
  count: number;
  p50: number;
  p90: number;
  p99: number;
}

export interface Recent {
  capped: boolean;
  errors: ClassCount[];
  failed: number;
  first_byte_ms: Middle;
  requests: number;
  since: string;
  success_rate?: number;
  total_ms: Middle;
}

export interface Refreshed {
  added: number;
  changed: number;
  gone: number;
  notes: string[];
}

export interface Refused {
  category?: string;
  phase: string;
}

export interface Replay {
  changed: number;
  changes: ReplayChange[];
  cost?: Bounded;
  cost_per_success: number;
  cost_per_success_was: number;
  cost_was?: Bounded;
  latency?: Bounded;
  latency_was?: Bounded;
  method: "doubly_robust" | "mixed" | "direct";
  notes: string[];
  refused: number;
  requests: number;
  robust: number;
  same: number;
  skipped: number;
  success?: Bounded;
  success_was?: Bounded;
  unheard: number;
  unpriced: number;
}

export interface ReplayBody {
  config?: string;
}

export interface ReplayChange {
  asked: string;
  cost_nanodollars?: number;
  cost_was_nanodollars?: number;
  from: string;
  id: string;
  start: string;
  success: number;
  to: string;
  why: string;
}

export interface Request {
  arm?: string;
  asked: string;
  attempts?: Attempt[];
  class?: string;
  copy_of?: string;
  cost: Cost;
  dialect: string;
  experiment?: string;
  first_byte_ms: number;
  id: string;
  key: string;
  key_name: string;
  model: string;
  op: string;
  provider: string;
  route?: string;
  seq: number;
  session?: string;
  start: string;
  status: number;
  stream: boolean;
  tags?: string[];
  task?: string;
  team: string;
  total_ms: number;
  usage: Tokens;
  warnings: string[];
}

export interface RequestAnswer {
  request: Request;
}

export interface RequestList {
  next?: string;
  requests: Request[];
}

export interface Right {
  do: string;
  may: string[];
  means: string;
}

export interface RightList {
  rights: Right[];
}

export interface Rotation {
  overlap?: string;
}

export interface Route {
  declared: boolean;
  kind: "list" | "ladder";
  name: string;
  rungs: Rung[];
  success: string[];
  used: UsageRow;
}

export interface RouteList {
  routes: Route[];
  since: string;
}

export interface Rung {
  cost_per_success_nanodollars?: number;
  model: string;
  price?: Price;
  share: number;
  success_rate?: number;
  thinking: string;
  usable: boolean;
  used: UsageRow;
}

export interface SampleRatio {
  alarm: number;
  broken: boolean;
  evidence: number;
}

export interface Saving {
  against_nanodollars: number;
  how: string;
  kind: "batch" | "cache" | "routing";
  saved_nanodollars: number;
  since: string;
  unknown: number;
}

export interface Session {
  email?: string;
  id: string;
  may: string[];
  name: string;
  role: "owner" | "admin" | "viewer" | "billing";
  until?: string;
}

export interface SessionAnswer {
  session: Session;
}

export interface ShadowPair {
  a: string;
  b: string;
  cost?: Bounded;
  n: number;
  success?: Bounded;
}

export interface ShadowState {
  budget_nanodollars: number;
  copies: number;
  pairs: ShadowPair[];
  share: number;
  spent_nanodollars: number;
}

export interface SignIn {
  token?: string;
}

export interface SignInWays {
  oidc: string;
  token: boolean;
}

export interface SignedOut {
  signed_out: boolean;
}

export interface Spend {
  cache_read: number;
  cache_write: number;
  cost_nanodollars: number;
  failed: number;
  input: number;
  output: number;
  requests: number;
  since: string;
  unpriced: number;
}

export interface Status {
  config?: string;
  credentials: CredentialState[];
  data: string;
  keys: number;
  ledger_dropped: number;
  ledger_waiting: number;
  listen: string;
  load: Load;
  notes: string[];
  providers: number;
  ready: boolean;
  started: string;
  streams: number;
  targets: TargetHealth[];
  version: string;
}

export interface Step {
  changed: string;
  cost_nanodollars: number;
  custom_id: string;
  dialect: string;
  index: number;
  model: string;
  op: string;
  path: "" | "batch" | "realtime";
  provider: string;
  real_time_nanodollars: number;
  state: "queued" | "coalescing" | "submitted" | "running" | "ended" | "retrying" | "realtime" | "succeeded" | "failed" | "canceled" | "expired";
  target: string;
  tries: number;
  why: string;
}

export interface SuccessAnswer {
  by: string[];
  rows: SuccessRow[];
  since?: string;
  until?: string;
}

export interface SuccessRow {
  attempts: number;
  cost_nanodollars: number;
  cost_per_success_nanodollars?: number;
  ended_well: number;
  escalated: number;
  explicit: number;
  explicit_score: number;
  implicit: number;
  model: string;
  requests: number;
  route: string;
  successes: number;
  task: string;
  unpriced: number;
  value_nanodollars: number;
}

export interface TargetHealth {
  attempts: number;
  breaker: string;
  cost_per_success_nanodollars?: number;
  failed: ClassCount[];
  first_byte: Quantiles;
  model: string;
  per_token: Quantiles;
  provider: string;
  running: number;
  success_rate: number;
  total: Quantiles;
}

export interface Team {
  budgets: Budget[];
  declared: boolean;
  keys: number;
  limits: Limits;
  month: Spend;
  name: string;
  priority?: "interactive" | "standard" | "batch";
  weight?: number;
}

export interface TeamList {
  teams: Team[];
}

export interface Tokens {
  cache_read: number;
  cache_write_1h: number;
  cache_write_5m: number;
  input: number;
  output: number;
  reasoning: number;
  source?: string;
}

export interface UsageAnswer {
  bucket?: "minute" | "hour" | "day";
  by: "model" | "key" | "day" | "provider" | "day_model" | "hour" | "minute" | "team" | "route" | "tag" | "task";
  rows: UsageRow[];
  since?: string;
  until?: string;
}

export interface UsageRow {
  attempts: number;
  bucket?: string;
  cache_read: number;
  cache_write_1h: number;
  cache_write_5m: number;
  cost_nanodollars: number;
  estimated: number;
  failed: number;
  failed_attempts: number;
  input: number;
  label?: string;
  listed_nanodollars: number;
  name: string;
  output: number;
  reasoning: number;
  reported_nanodollars: number;
  requests: number;
  unpriced: number;
}

export interface WorkItem {
  claude_4: number;
  claude_5: number;
  gemini: number;
  gpt: number;
  needs?: string;
  other: number;
  output: number;
}

export interface Workload {
  all?: boolean;
  asked?: string;
  items?: WorkItem[];
  key?: string;
  since?: string;
  until?: string;
}

export interface WorkloadSums {
  cost_nanodollars: number;
  output_tokens: number;
  prompt_tokens: number;
  requests: number;
  sampled: number;
  since?: string;
  unpriced: number;
  until?: string;
}
