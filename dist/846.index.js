export const id = 846;
export const ids = [846];
export const modules = {

/***/ 8846:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   SignatureV4: () => (/* reexport safe */ _smithy_signature_v4__WEBPACK_IMPORTED_MODULE_3__.SignatureV4),
/* harmony export */   defaultProvider: () => (/* reexport safe */ _aws_sdk_credential_provider_node__WEBPACK_IMPORTED_MODULE_0__.v6),
/* harmony export */   externalDataInterceptor: () => (/* reexport safe */ _smithy_core_config__WEBPACK_IMPORTED_MODULE_2__.externalDataInterceptor),
/* harmony export */   parseXML: () => (/* reexport safe */ _aws_sdk_xml_builder__WEBPACK_IMPORTED_MODULE_1__.parseXML)
/* harmony export */ });
/* harmony import */ var _aws_sdk_credential_provider_node__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(5861);
/* harmony import */ var _aws_sdk_xml_builder__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(4274);
/* harmony import */ var _smithy_core_config__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(7291);
/* harmony import */ var _smithy_signature_v4__WEBPACK_IMPORTED_MODULE_3__ = __webpack_require__(5118);
// The parts of the AWS SDK that the action uses, in one module, so that the bundle has one file with nothing else of
// the SDK. It is imported where it is needed only: most runs ask AWS nothing.






/***/ })

};
