// Wide tables scroll within a frame that the tool puts around them; a keyboard reaches it only as a stop of its own.
document$.subscribe(() => {
  setTimeout(() => {
    for (const frame of document.querySelectorAll(".md-typeset__scrollwrap")) {
      if (frame.scrollWidth > frame.clientWidth) frame.tabIndex = 0;
    }
  });
});
