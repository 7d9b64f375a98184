// What to do once what happens cannot be followed any longer: where the log went back, to begin anew by what it holds now.

import { write } from "./dom.js";

const WENT_BACK = ["LOG_WENT_BACK", "POSITION_BEYOND_HEAD"];
const ANEW = "The log no longer holds what was shown here, as once an older backup is restored. This is what it holds now.";

const IN_TURN = "Services that hold different logs answer at this address in turn. Until one of them does, what happens cannot be followed.";
const AGAIN_MS = 10_000;
const BEGUN = "recount:begun-anew";

/** Take an `error` of the service, which may have no words, on a connection. */
export function refused(connection, error) {
  if (!WENT_BACK.includes(error?.extensions?.code)) {
    write(connection.place, `What happens cannot be followed: ${error?.message || "The service refused the subscription."}`);
    return connection.onrefused();
  }
  // Not again and again, where that changes nothing.
  if (Date.now() - Number(sessionStorage.getItem(BEGUN)) < AGAIN_MS) {
    write(connection.place, IN_TURN);
    return connection.onrefused();
  }
  sessionStorage.setItem(BEGUN, Date.now());
  // All that the page keeps of what had happened may be wrong now. A moment is read by what is known today; the words outlast that.
  const address = new URL(location);
  const { searchParams: said } = address;
  for (const name of ["position", "log", ...(said.get("clock") === "recorded" ? ["at"] : [])]) said.delete(name);
  history.replaceState({ said: ANEW }, "", address);
  location.reload();
}
