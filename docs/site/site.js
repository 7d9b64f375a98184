// What is wider than the page scrolls within a frame of its own; a keyboard reaches it only as a stop of its own.
document$.subscribe(() => {
  setTimeout(() => {
    for (const frame of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code")) {
      if (frame.scrollWidth > frame.clientWidth) frame.tabIndex = 0;
    }
  });
});
