-- Which event a rule's place stands at, so that it is told from another one that came to stand there.

alter table log.reactions add column mark text;

comment on column log.reactions.mark is
    'Of the event at the position, as in the cursors of messages; null: only the number is known.';
