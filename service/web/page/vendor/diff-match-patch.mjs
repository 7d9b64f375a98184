export { cleanupSemantic, makeDiff } from "@sanity/diff-match-patch";
