// What was written below an item, in threads; deleted comments are marked, and private notes shown to who asks and may.

import { badge, el } from "../dom.js";
import { reaching } from "../scopes.js";
import { Section } from "../section.js";
import { asOf } from "../moment.js";
import { dateTime, number } from "../format.js";
import { plainText } from "../text.js";

const COMMENTS = `query Comments($sleekplanId: ID!, $productId: ID, $asOf: AsOf) {
  item(sleekplanId: $sleekplanId, productId: $productId, asOf: $asOf) {
    comments(last: 500, filter: {deleted: null}, orderBy: {field: CREATED_AT, direction: ASC}) {
      totalCount
      nodes { id text createdAt likes pinned public deletedAt author { name teamMember } parent { id } }
    }
  }
}`;

export function comments(page) {
  const asked = ({ moment, item }) => ({
    document: COMMENTS, variables: { ...page.naming(item), asOf: asOf(moment) }, how: { fixed: !moment.live },
  });
  const section = new Section("Comments", page, asked, ({ item }) => [
    item.comments.nodes.length ? thread(item.comments.nodes) : el("p.quiet", "None, as far as events tell."),
    item.comments.totalCount > 500 && el("p.quiet", `The newest 500 of ${number(item.comments.totalCount)}.`),
  ]);
  // Whoever shows a screen shows no private notes, unless they choose to.
  const notes = el("input", {
    type: "checkbox",
    onchange: () => {
      section.frame.turnTo(notes.checked ? reaching(page.api, "read+personal") : page.api);
      section.frame.fill(); // At once, however long the answer without them takes.
      section.look(true);
    },
  });
  section.frame.head.append(el("label.choice", notes, " private notes too, where you may read them"));
  return section;
}

/** The comments in threads; an answer to one that is not there stands by itself. */
function thread(list) {
  const answers = Map.groupBy(list, ({ parent }) => parent?.id);
  const known = new Set(list.map(({ id }) => id));
  const branch = (comments) => comments?.length && el("ol.thread", comments.map((each) => el("li", comment(each), branch(answers.get(each.id)))));
  return branch(list.filter(({ parent }) => !known.has(parent?.id)));
}

function comment({ text, createdAt, likes, pinned, public: open, deletedAt, author }) {
  return el(
    "article",
    el(
      "p.quiet",
      el("strong", author?.name ?? "Somebody"), " ", createdAt && dateTime(createdAt),
      author?.teamMember && [" ", badge("team", "Written by a member of the team")],
      open === false && [" ", badge("private note", "Between team members: whoever sees the board does not see it")],
      pinned && [" ", badge("pinned", "Pinned on the board")],
      deletedAt && [" ", badge(`deleted ${dateTime(deletedAt)}`, "Sleekplan announced its deletion")],
      likes ? ` · ${number(likes)} ${likes === 1 ? "likes" : "like"} it` : null,
    ),
    el(deletedAt ? "p.text.gone" : "p.text", text == null ? "(text not known)" : plainText(text)),
  );
}
