// types.ts - what the API answers, as far as the screens read it. server/api/openapi.json is the whole of it.
import type { Reason } from './api';

export interface Product {
  name: string; adopts: string[]; stopped: boolean; rollouts_only: boolean; trust_unverified: boolean; approval: boolean; downgrade: string;
  releases: number; newest_version: string | null; newest_code: number | null;
}
export interface Artifact { size: number; sha256: string; md5: string }
export interface Image {
  chip: string | null; component: 'app' | 'fs'; variant: string | null; flash_size: number | null; digest: string;
  raw: Artifact | null; gzip: Artifact | null; gzip_4k: Artifact | null; manifest: Artifact | null; sequence: number | null; approved: boolean;
}
export interface Release {
  id: number; product: string | null; version: string | null; code: number; channel: string; yanked: boolean;
  required: boolean; created_ms: number; images: Image[];
}
export type AttemptState =
  'none' | 'offered' | 'downloading' | 'downloaded' | 'trial' | 'updated' | 'presumed' | 'failed' | 'rolled-back';
export interface Attempt {
  state: AttemptState; release: number | null; code: number | null; announced_ms: number | null; sends: number;
  reason: Reason | null; result: { state: AttemptState; release: number | null; reason: Reason | null } | null;
}
export interface Device {
  id: string; product: string | null; channel: string | null; held: boolean; verified: boolean; chip: string | null;
  chip_source: string; client: string;
  running: { version: string | null; code: number | null; digest: string | null; size: number | null; core: string | null };
  space: {
    flash_size: number | null; fs_start: number | null; slot_size: number | null; free: number | null;
    gzip_refused: boolean; gzip_proven: boolean;
  };
  attempt: Attempt; reason: Reason | null; detail: string | null; reason_ms: number | null; group: string | null;
  tags: string[]; attributes: Record<string, string>; pin: number | null;
  rollout: { id: number; open: boolean; outcome: string; counts: boolean; failures: number; since_ms: number } | null;
  address: string | null; first_seen_ms: number | null; last_seen_ms: number | null;
}
export interface DevicePage { devices: Device[]; next: string | null }
interface WhyRelease { id: number; version: string; code: number; channel: string }
export interface Why {
  device: string; verdict: 'nothing' | 'offer' | 'wait'; reason: Reason | null; detail: string | null;
  release: WhyRelease | null; encoding: string | null; size: number | null; next: string | null; rollout: number | null;
  again_s: number | null; attempt: Attempt;
  steps: { release: WhyRelease; reason: Reason | null; detail: string | null }[];
}
export interface Phase { percent: number; filter: string | null }
export interface RolloutRules {
  success_count: number; success_percent: number; soak_s: number; error_count: number; error_percent: number;
  timeout_s: number; retries: number; retry_s: number; max_open: number; presumed_counts: boolean;
}
export interface Rollout {
  id: number; product: string; release: number; version: string; code: number;
  status: 'waiting' | 'running' | 'paused' | 'done' | 'aborted'; note: string | null; phase: number; phase_since_ms: number;
  created_ms: number; start_ms: number | null; salt: number; target: string | null; window: string | null; downgrade: string;
  created_by: string | null; approved_by: string | null; approved_ms: number | null;
  phases: Phase[]; rules: RolloutRules;
  counts: {
    offered: number; open: number; succeeded: number; presumed: number; failed: number; last_success_ms: number | null;
  };
}
export interface Token {
  id: string; kind: 'admin' | 'device' | 'gateway' | 'enrol'; label: string | null; device: string | null; product: string | null; created_ms: number;
  roles: string[]; expires_ms: number | null; made_by: string | null;
}
export interface User { name: string; roles: string[]; disabled: boolean; password: boolean; totp: boolean; created_ms: number | null; login_ms: number | null }
export interface Account { name: string; roles: string[]; totp: boolean; recovery_left: number; sessions: number; created_ms: number }
export interface AuditEntry {
  seq: number; at_ms: number; who: string; from: string; action: string; product: string | null; detail: string; status: number; reason: string | null; hash: string;
}
export interface AuditPage { entries: AuditEntry[]; next: number | null }
export interface AuditVerdict { good: boolean; entries: number; bad: number | null; why: string; end: { seq: number; hash: string } }
export interface Facts {
  kind: string; size: number; sha256: string; md5: string; publishable: boolean; reason: Reason | null;
  content: { kind: string; size: number } | null;
  image: {
    chip: string | null; size: number; flash_size: number | null; has_crc: boolean; has_hash: boolean; digest: string;
    min_revision: number | null; max_revision: number | null; secure_version: number | null; version: string | null;
    project: string | null; idf_version: string | null; build_date: string | null; build_time: string | null;
  } | null;
  tag: { version: string | null; code: number | null; product: string | null; board: string | null; confirms: boolean } | null;
}
export interface Published {
  release: number; product: string; version: string; code: number; channel: string; adopted: boolean; image: Image;
  warnings: string[]; next: string;
}
export interface Overview {
  now_ms: number;
  devices: {
    total: number; seen_hour: number; silent: number; never: number; unassigned: number; held: number; updating: number;
    failed: number; failed_day: number; newest: number; judged: number;
  };
  versions: { product: string | null; version: string | null; count: number }[];
  reasons: { reason: Reason; count: number }[];
}
export interface Counts { total: number; groups: { value: string | null; count: number; reason: Reason | null }[]; other: number }
export interface Trends {
  rates: { times_ms: number[]; requests: number[]; bytes: number[] };
  shares: { times_ms: number[]; series: { product: string | null; version: string | null; counts: number[] }[] };
}
export interface Progress { times_ms: number[]; offered: number[]; succeeded: number[]; failed: number[] }
export interface Preview { product_devices: number; targeted: number; phases: { devices: number; added: number; sample: string[] }[] }
export interface Server {
  version: string; now_ms: number; started_ms: number; data_dir: string | null; enrol: 'open' | 'token' | 'list' | 'approval'; public_url: string | null;
  listeners: { plane: 'device' | 'admin' | 'socket'; url: string | null; port: number }[];
  http: { accepted: number; open: number; requests: number; refused: number; bytes_sent: number };
  devices: { count: number; bytes: number; unsaved: number; written: number };
  disk: { free: number; total: number; database: number | null };
}
export interface Attempts {
  attempts: {
    ended_ms: number; result: AttemptState; reason: Reason | null; release: number | null; version: string; code: number; from_code: number;
    rollout: number | null; bytes: number; verified: boolean;
  }[];
}
export interface Log { text: string; updated_ms: number | null }
export interface Node { name: string; live: boolean; leads: boolean; started_ms: number; behind_ms: number; version: string; seen_ms: number }
export interface Setting { name: string; values: string[]; default: string; list: boolean; live: boolean; help: string }
export interface Key { id: string; role: 'signer' | 'approver'; public: string }
export interface Status { store: { backend: 'sqlite' | 'postgresql'; ok: boolean; since_ms?: number; why?: string } }
