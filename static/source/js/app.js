// Everything here is a nicety: each page does its work without it.
import { createAll } from "govuk-frontend/dist/govuk/init.mjs";
import { Button } from "govuk-frontend/dist/govuk/components/button/button.mjs";
import { ErrorSummary } from "govuk-frontend/dist/govuk/components/error-summary/error-summary.mjs";
import { SkipLink } from "govuk-frontend/dist/govuk/components/skip-link/skip-link.mjs";
import { addressTool } from "./address.js";
import { focusTarget } from "./arrive.js";
import { copyButtons } from "./copy.js";
import { edgesInPlace } from "./edges.js";
import { deskKeys } from "./keys.js";
import { lineLinks } from "./lines.js";
import { livePage } from "./live.js";
import { localTimes } from "./local.js";
import { numberLabel } from "./number.js";
import { sendOnce } from "./once.js";
import { printButtons } from "./print.js";
import { keepSubmission } from "./sent.js";
import { showButtons } from "./show.js";
import { tips } from "./tips.js";

// The components look for this class; browsers without modules never come here.
document.body.classList.add("js-enabled", "govuk-frontend-supported");

createAll(Button);
createAll(SkipLink);
createAll(ErrorSummary);
focusTarget();
lineLinks();
numberLabel();
copyButtons();
printButtons();
showButtons();
addressTool();
edgesInPlace(tips());
sendOnce();
keepSubmission();
localTimes();
deskKeys();
livePage();
