// What a tag manager does: it makes the tag, attribute by attribute, some time after the page began.
"use strict";
(function () {
  var tag = document.createElement("script");
  tag.setAttribute("async", "");
  tag.setAttribute("defer", "");
  tag.setAttribute("src", $PREFIX + "/pixel.js");
  tag.setAttribute("data-affonso", $PROGRAM);
  tag.setAttribute("data-cookie_duration", "30");
  tag.setAttribute("data-api-base", $PREFIX);
  document.head.appendChild(tag);
})();
