// Texts as people wrote them, and fields as people call them.

/** The words of a text that may be HTML: tags are left out of what is shown, and nothing is ever parsed as markup. */
export function plainText(text) {
  return text.replace(/<\/?[a-z][^>]*>/gi, " ").replace(/\s+/g, " ");
}

const NAMES = { votesUp: "votes for", votesDown: "votes against", commentCount: "comments", createdAt: "created" };

/** A field of the API in words: `commentCount` is "comments". */
export function nameOfField(field) {
  return NAMES[field] ?? field.replace(/_|(?=[A-Z])/g, " ").toLowerCase();
}
