// The types of the pages' modules, for editors and `tsc --checkJs`. Browsers never load this file.

/** What the server says when it refuses (RFC 9457), with wtn's `code` and `fix`. */
export interface Problem {
  /** HTTP status; 0 when the server was not reached at all. */
  status: number;
  code: string;
  title: string;
  detail: string;
  /** What the reader can do about it. */
  fix: string;
}

/** An accepted offer. */
export interface WishSession {
  /** PATCH and DELETE go here. */
  url: string;
  /** Names the session's present ICE credentials, for If-Match. */
  etag: string | null;
  /** The `Link` lines of the answer: where its extensions are. */
  links: string | null;
  /** The server's SDP. */
  answer: string;
}

/** One `Link` of an answer. */
export interface Link {
  url: string;
  rel: string;
  /** The types of events, where it is that extension. */
  events: string[];
}

/** One layer, as a `layers` event tells of it. */
export interface Layer {
  rid?: string;
  spatialLayerId?: number;
  temporalLayerId?: number;
  /** Bits per second; 0 or absent: not sent now. */
  bitrate?: number;
  width?: number;
  height?: number;
}

/** One line of the menu of layers. */
export interface LayerChoice {
  id: string;
  label: string;
  detail: string;
  active: boolean;
  /** The picture's `m=` line. */
  mediaId: string;
  /** What the server is sent. */
  selection: object;
}

/** What the server says about a publisher, where it says anything. */
export type OnAir =
  /** Nothing yet. */
  | "unknown"
  | "yes"
  | "no"
  /** Somebody publishes again, and the picture has not gone on yet. */
  | "back";

export type WhepState =
  /** An offer is out, or ICE and DTLS are at work. */
  | "connecting"
  /** Media may flow; whether a picture comes is for the page to see. */
  | "connected"
  /** Nobody publishes; asked again as often as the server says. */
  | "offline"
  /** A key is needed, or this one does not do; waits for `retry()`. */
  | "refused"
  /** The offer will not do: nearly always a codec that this browser cannot decode. */
  | "unsupported"
  /** No useful answer over HTTP. */
  | "unreachable"
  /** The server answered, but no media path came about. */
  | "blocked"
  /** The session was there and is gone; a new one follows at once. */
  | "lost"
  /** `stop()` was called. */
  | "stopped";

export interface WhepStatus {
  state: WhepState;
  /** The server's own words, where it said something. */
  problem?: Problem;
  /** With `blocked`: where the server wants its media, as `udp 192.0.2.1:8189`. */
  candidates?: string[];
}

/** How a session ended, and when the server would like to see us again. */
export interface SessionEnd {
  status: WhepStatus;
  retryAfterMs?: number | null;
}

export type Picture =
  /** Connected, and not a packet yet. */
  | "nothing"
  /** There is sound, and no picture was ever sent. */
  | "sound"
  /** Packets arrive, but none that a picture can start with. */
  | "keyframe"
  /** Whole frames arrive, and the browser makes nothing of them. */
  | "undecodable"
  /** New frames appear. */
  | "playing"
  /** There was a picture; now nothing is sent any more. */
  | "paused";

/** What a session has received so far. */
export interface Counts {
  /** Video packets. */
  packets: number;
  /** Whole video frames. */
  frames: number;
  /** Video frames that the decoder made a picture of. */
  decoded: number;
  /** Audio packets. */
  sound: number;
}

/** What the watch page says. */
export interface Words {
  title: string;
  text: string;
  /** Something is under way and will end by itself. */
  busy: boolean;
  /** What the page looks like meanwhile, if not as the picture's state says. */
  state?: string;
}

/** One row of `/api/v1/streams`. */
export interface StreamRow {
  name: string;
  live: boolean;
  /** As in SDP: `H264`, `opus`. */
  codecs: string[];
  viewers: number;
  /** Its connected publishers. */
  inputs?: Input[];
  /** What may be wrong with what viewers get. */
  lint?: Lint[];
}

/** One publisher among the inputs of its stream. */
export interface Input {
  session: string;
  /** 0 for the main input. */
  backup: number;
  shown: boolean;
  sends: boolean;
}

/** Advice for a broadcaster: docs/lint.md. */
export interface Lint {
  code: string;
  detail: string;
  fix: string;
}
