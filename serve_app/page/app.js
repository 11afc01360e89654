// Puts the page together once its configuration is there.

import * as access from "./access.js";
import * as faq from "./faq.js";
import * as images from "./images.js";
import { problemOf, show } from "./problem.js";
import * as service from "./service.js";

async function start() {
  const answer = await fetch("page/config.json");
  if (!answer.ok) throw await problemOf(answer);
  const configuration = await answer.json();
  document.getElementById("docs-link").hidden = configuration.docs !== "open";
  faq.start(configuration);
  images.start(configuration);
  await access.start(configuration);
  access.onChange(faq.load);
  access.onChange(service.credentialChanged);
  service.start();
  await faq.load();
}

start().catch((error) => show(document.getElementById("faq-problem"), error));
